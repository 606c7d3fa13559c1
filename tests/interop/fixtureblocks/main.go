// Fixtureblocks downsamples the golden block of all kinds with Thanos's
// package, to five minutes and from there to an hour:
//
//	go run -tags slicelabels ./fixtureblocks ../fixtures/golden/tsdb
//
// Beside each block is what Thanos's own reader finds in it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	kit "github.com/go-kit/log"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/thanos-io/thanos/pkg/block/metadata"
	"github.com/thanos-io/thanos/pkg/compact/downsample"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: fixtureblocks FOLDER")
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, golden string) error {
	from, err := only(filepath.Join(golden, "all-kinds"))
	if err != nil {
		return err
	}
	for _, step := range []struct {
		folder     string
		resolution int64
		every      int
	}{{"thanos-5m", downsample.ResLevel1, 5}, {"thanos-1h", downsample.ResLevel2, 1}} {
		to := filepath.Join(golden, step.folder)
		if from, err = downsampled(ctx, from, to, step.resolution); err != nil {
			return fmt.Errorf("%s: %w", step.folder, err)
		}
		if err := tell(ctx, from, filepath.Join(to, "excerpt"), step.every); err != nil {
			return fmt.Errorf("%s: %w", step.folder, err)
		}
	}
	return nil
}

// only gives the one block in a folder.
func only(dir string) (string, error) {
	metas, err := filepath.Glob(filepath.Join(dir, "*", metadata.MetaFilename))
	if err != nil || len(metas) != 1 {
		return "", fmt.Errorf("%d blocks in %s: %w", len(metas), dir, err)
	}
	return filepath.Dir(metas[0]), nil
}

func downsampled(ctx context.Context, from, to string, resolution int64) (string, error) {
	meta, err := metadata.ReadFromDir(from)
	if err != nil {
		return "", err
	}
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), from, downsample.NewPool(), nil)
	if err != nil {
		return "", err
	}
	defer block.Close()
	if err := errors.Join(os.RemoveAll(to), os.MkdirAll(to, 0o755)); err != nil {
		return "", err
	}
	id, err := downsample.Downsample(ctx, kit.NewNopLogger(), meta, block, to, resolution)
	return filepath.Join(to, id.String()), err
}

// tell writes, for the aggregates of each chunk, how many samples there are,
// and every so many of them with its number.
func tell(ctx context.Context, dir, path string, every int) error {
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, downsample.NewPool(), nil)
	if err != nil {
		return err
	}
	defer block.Close()
	reader, err := block.Index()
	if err != nil {
		return err
	}
	defer reader.Close()
	data, err := block.Chunks()
	if err != nil {
		return err
	}
	defer data.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	name, values := index.AllPostingsKey()
	postings, err := reader.Postings(ctx, name, values)
	if err != nil {
		return err
	}
	for postings.Next() {
		var builder labels.ScratchBuilder
		var metas []chunks.Meta
		if err := reader.Series(postings.At(), &builder, &metas); err != nil {
			return err
		}
		lset := builder.Labels()
		for number, meta := range metas {
			chunk, _, err := data.ChunkOrIterable(meta)
			if err != nil {
				return err
			}
			for kind := downsample.AggrCount; kind <= downsample.AggrCounter; kind++ {
				aggregate, err := chunk.(*downsample.AggrChunk).Get(kind)
				if errors.Is(err, downsample.ErrAggrNotExist) {
					continue
				}
				if err != nil {
					return err
				}
				head := fmt.Sprintf("%s %s %d %s", lset.Get(labels.MetricName), lset.Get("pod"), number, kind)
				if err := samples(out, head, aggregate.Iterator(nil), every); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(postings.Err(), out.Flush())
}

func samples(out *bufio.Writer, head string, it chunkenc.Iterator, every int) error {
	count := 0
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if count%every == 0 {
			fmt.Fprintf(out, "%s %d %d ", head, count, it.AtT())
			switch kind {
			case chunkenc.ValFloat:
				_, v := it.At()
				fmt.Fprintln(out, v)
			default:
				_, h := it.AtFloatHistogram(nil)
				fmt.Fprintln(out, h)
			}
		}
		count++
	}
	fmt.Fprintf(out, "%s has %d\n", head, count)
	return it.Err()
}
