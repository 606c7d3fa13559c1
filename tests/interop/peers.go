package interop

import (
	_ "github.com/cortexproject/promqlsmith"
	_ "github.com/parquet-go/parquet-go"
	_ "github.com/prometheus/prometheus/tsdb"
	_ "github.com/thanos-io/thanos/pkg/store/storepb"
)
