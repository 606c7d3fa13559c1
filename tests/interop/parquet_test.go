package interop

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// checkParquet reads every Parquet block of the bucket with parquet-go, and
// compares it with the blocks it was made of.
func (s *stack) checkParquet(t *testing.T) {
	t.Helper()
	for _, b := range unmarked(s.blocks(t, "parquet")) {
		t.Run("parquet-go reads "+b.ULID.String(), func(t *testing.T) {
			got, err := readParquetBlock(b.dir)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ReadBlocks(s.sourceDirs(t, b))
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Compare(want); err != nil {
				t.Error(err)
			}
			checkParquetMeta(t, b, got)
			if long, all := checkLongChunks(t, b.dir, s.sourceDirs(t, b)); all < len(got) {
				t.Errorf("%d chunks of %d series, %d of them long", all, len(got), long)
			}
		})
	}
}

// checkParquetMeta compares meta.json with what the files hold.
func checkParquetMeta(t *testing.T, b block, held Samples) {
	t.Helper()
	samples := uint64(0)
	for _, series := range held {
		samples += uint64(len(series.Samples))
		if first, last := series.Samples[0].T, series.Samples[len(series.Samples)-1].T; first < b.MinTime || last >= b.MaxTime {
			t.Errorf("%s has %d…%d, which is not in %d…%d", series.Labels, first, last, b.MinTime, b.MaxTime)
		}
	}
	if b.Stats.NumSamples != samples || b.Stats.NumSeries != uint64(len(held)) {
		t.Errorf("stats are %+v of %d series, %d samples", b.Stats, len(held), samples)
	}
	var meta struct {
		Parquet struct {
			Version int
			Shards  []json.RawMessage
		}
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "*.labels.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if meta.Parquet.Version != 1 || len(meta.Parquet.Shards) != len(files) {
		t.Errorf("meta.json has Parquet's version %d and %d shards, of %d", meta.Parquet.Version, len(meta.Parquet.Shards), len(files))
	}
}

// readParquetBlock reads all shards of a block in the layout of parquet-common,
// and gives an error where one is not as that layout states.
func readParquetBlock(dir string) (Samples, error) {
	all, last := Samples{}, labels.EmptyLabels()
	for number := 0; ; number++ {
		names, chunks := filepath.Join(dir, fmt.Sprintf("%d.labels.parquet", number)), filepath.Join(dir, fmt.Sprintf("%d.chunks.parquet", number))
		if _, err := os.Stat(names); errors.Is(err, os.ErrNotExist) && number > 0 {
			return all, nil
		}
		shard, err := openShard(names, chunks)
		if err == nil {
			last, err = shard.read(all, last)
			shard.close()
		}
		if err != nil {
			return nil, fmt.Errorf("shard %d of %s: %w", number, dir, err)
		}
	}
}

type parquetFile struct {
	*parquet.File
	file    *os.File
	columns []string
}

func openParquet(path string) (*parquetFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	opened, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p := &parquetFile{File: opened, file: file}
	for _, column := range opened.Schema().Columns() {
		if len(column) != 1 {
			return nil, fmt.Errorf("column %q is nested", column)
		}
		p.columns = append(p.columns, column[0])
	}
	if !slices.IsSorted(p.columns) {
		return nil, fmt.Errorf("columns are not in the order of their names: %q", p.columns)
	}
	return p, nil
}

// shard is one pair of files, with the slices of time that its columns are.
type shard struct {
	labels, chunks        *parquetFile
	min, max, duration    int64
	sliceOf               map[int]int // by column of the chunks file
	lset, indexes, hashes []int
}

func openShard(labelsPath, chunksPath string) (*shard, error) {
	s := &shard{sliceOf: map[int]int{}}
	var err error
	if s.labels, err = openParquet(labelsPath); err != nil {
		return nil, err
	}
	if s.chunks, err = openParquet(chunksPath); err != nil {
		return nil, err
	}
	for _, f := range []*parquetFile{s.labels, s.chunks} {
		if err := s.keyValues(f); err != nil {
			return nil, err
		}
		if err := indexed(f); err != nil {
			return nil, err
		}
	}
	if err := s.labelColumns(); err != nil {
		return nil, err
	}
	return s, s.dataColumns()
}

func (s *shard) close() {
	s.labels.file.Close()
	s.chunks.file.Close()
}

func (s *shard) keyValues(f *parquetFile) error {
	var keys []string
	for _, kv := range f.Metadata().KeyValueMetadata {
		// Ours beside those of the layout.
		if kv.Key == "varve_checksums" {
			if kv.Value != "crc32-table" {
				return fmt.Errorf("key-value %s: %q", kv.Key, kv.Value)
			}
			continue
		}
		keys = append(keys, kv.Key)
		number, err := strconv.ParseInt(kv.Value, 10, 64)
		if err != nil {
			return fmt.Errorf("key-value %s: %w", kv.Key, err)
		}
		switch kv.Key {
		case "minT":
			s.min = number
		case "maxT":
			s.max = number
		case "data_col_duration_ms":
			s.duration = number
		}
	}
	if want := []string{"data_col_duration_ms", "maxT", "minT"}; !slices.Equal(keys, want) {
		return fmt.Errorf("keys are %q, not %q", keys, want)
	}
	return nil
}

// indexed checks what every column chunk of both files has to have.
func indexed(f *parquetFile) error {
	for g, group := range f.Metadata().RowGroups {
		for i, column := range group.Columns {
			switch {
			case column.MetaData.Codec != format.Zstd:
				return fmt.Errorf("row group %d, %s: codec %s", g, f.columns[i], column.MetaData.Codec)
			case column.MetaData.Type != format.ByteArray:
				return fmt.Errorf("row group %d, %s: type %s", g, f.columns[i], column.MetaData.Type)
			case column.ColumnIndexLength == 0 || column.OffsetIndexLength == 0:
				return fmt.Errorf("row group %d, %s: no column index, or no offset index", g, f.columns[i])
			}
		}
	}
	return nil
}

func (s *shard) labelColumns() error {
	for i, name := range s.labels.columns {
		element, want := s.labels.Metadata().Schema[i+1], format.Encoding(0)
		switch {
		case strings.HasPrefix(name, "l_"):
			s.lset, want = append(s.lset, i), format.RLEDictionary
			if element.RepetitionType.V != format.Optional || element.LogicalType.String() != "STRING" {
				return fmt.Errorf("%s is %s %s", name, element.RepetitionType.V, element.LogicalType.String())
			}
		case name == "s_col_indexes":
			s.indexes, want = append(s.indexes, i), format.DeltaByteArray
		case name == "s_series_hash":
			s.hashes, want = append(s.hashes, i), format.DeltaLengthByteArray
		default:
			return fmt.Errorf("an unknown column %q", name)
		}
		if !strings.HasPrefix(name, "l_") && element.RepetitionType.V != format.Required {
			return fmt.Errorf("%s is %s", name, element.RepetitionType.V)
		}
		if err := encoded(s.labels, i, want); err != nil {
			return err
		}
	}
	if len(s.indexes) != 1 || len(s.hashes) != 1 {
		return fmt.Errorf("s_col_indexes or s_series_hash is missing: %q", s.labels.columns)
	}
	for g, group := range s.labels.Metadata().RowGroups {
		if len(group.SortingColumns) == 0 {
			return fmt.Errorf("row group %d: no sorting columns", g)
		}
		by := group.SortingColumns[0]
		if s.labels.columns[by.ColumnIdx] != "l___name__" || by.Descending || by.NullsFirst {
			return fmt.Errorf("row group %d: sorted by %q, descending %t, nulls first %t", g, s.labels.columns[by.ColumnIdx], by.Descending, by.NullsFirst)
		}
	}
	return nil
}

func (s *shard) dataColumns() error {
	if s.duration <= 0 || s.max < s.min {
		return fmt.Errorf("minT %d, maxT %d, data_col_duration_ms %d", s.min, s.max, s.duration)
	}
	if want := int((s.max-s.min)/s.duration) + 1; len(s.chunks.columns) != want {
		return fmt.Errorf("data columns are %q, not %d", s.chunks.columns, want)
	}
	for i, name := range s.chunks.columns {
		slice, err := strconv.Atoi(strings.TrimPrefix(name, "s_data_"))
		if err != nil || slice >= len(s.chunks.columns) {
			return fmt.Errorf("an unknown column %q", name)
		}
		s.sliceOf[i] = slice
		if element := s.chunks.Metadata().Schema[i+1]; element.RepetitionType.V != format.Required {
			return fmt.Errorf("%s is %s", name, element.RepetitionType.V)
		}
		if err := encoded(s.chunks, i, format.DeltaLengthByteArray); err != nil {
			return err
		}
	}
	return nil
}

// encoded checks the encoding of all data pages of a column. A label's page
// that is not of the dictionary makes parquet-common's reader panic.
func encoded(f *parquetFile, column int, want format.Encoding) error {
	for g, group := range f.RowGroups() {
		pages := group.ColumnChunks()[column].Pages()
		for number := 0; ; number++ {
			page, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("row group %d, %s: %w", g, f.columns[column], err)
			}
			if (page.Dictionary() != nil) != (want == format.RLEDictionary) {
				return fmt.Errorf("row group %d, %s: page %d is not %s", g, f.columns[column], number, want)
			}
			parquet.Release(page)
		}
		if err := pages.Close(); err != nil {
			return err
		}
		if stated := f.Metadata().RowGroups[g].Columns[column].MetaData.Encoding; !slices.Contains(stated, want) {
			return fmt.Errorf("row group %d, %s: encodings %v, without %s", g, f.columns[column], stated, want)
		}
	}
	return nil
}

// read adds all rows to a collection, and gives the labels of the last one;
// the order goes on from shard to shard.
func (s *shard) read(into Samples, last labels.Labels) (labels.Labels, error) {
	if len(s.labels.RowGroups()) != len(s.chunks.RowGroups()) {
		return last, fmt.Errorf("%d row groups of labels, %d of chunks", len(s.labels.RowGroups()), len(s.chunks.RowGroups()))
	}
	for g, group := range s.labels.RowGroups() {
		other := s.chunks.RowGroups()[g]
		if group.NumRows() != other.NumRows() {
			return last, fmt.Errorf("row group %d: %d rows of labels, %d of chunks", g, group.NumRows(), other.NumRows())
		}
		names, chunks := group.Rows(), other.Rows()
		for row := range group.NumRows() {
			lset, err := s.readLabels(names)
			if err != nil {
				return last, fmt.Errorf("row group %d, row %d: %w", g, row, err)
			}
			if compareRows(last, lset) >= 0 {
				return last, fmt.Errorf("row group %d, row %d: %s comes after %s", g, row, lset, last)
			}
			last = lset
			samples, err := s.readChunks(chunks)
			if err != nil {
				return last, fmt.Errorf("row group %d, row %d, %s: %w", g, row, lset, err)
			}
			into.Add(lset, samples...)
		}
		if err := errors.Join(names.Close(), chunks.Close()); err != nil {
			return last, err
		}
	}
	return last, nil
}

// compareRows is the order of rows: by name, then by all labels.
func compareRows(a, b labels.Labels) int {
	if byName := strings.Compare(a.Get(labels.MetricName), b.Get(labels.MetricName)); byName != 0 {
		return byName
	}
	return labels.Compare(a, b)
}

func readRow(rows parquet.Rows) (parquet.Row, error) {
	buffer := []parquet.Row{nil}
	if n, err := rows.ReadRows(buffer); n != 1 {
		return nil, fmt.Errorf("no row: %w", err)
	}
	return buffer[0], nil
}

func (s *shard) readLabels(rows parquet.Rows) (labels.Labels, error) {
	row, err := readRow(rows)
	if err != nil {
		return labels.EmptyLabels(), err
	}
	builder, have, stated := labels.NewScratchBuilder(8), []int64(nil), []int64(nil)
	var hash []byte
	for _, value := range row {
		switch i := value.Column(); {
		case i == s.indexes[0]:
			numbers := value.ByteArray()
			for len(numbers) > 0 {
				number, n := binary.Varint(numbers)
				if n <= 0 {
					return labels.EmptyLabels(), fmt.Errorf("s_col_indexes is %x", value.ByteArray())
				}
				stated, numbers = append(stated, number), numbers[n:]
			}
		case i == s.hashes[0]:
			hash = slices.Clone(value.ByteArray())
		case !value.IsNull():
			if len(value.ByteArray()) == 0 {
				return labels.EmptyLabels(), fmt.Errorf("%s is empty, not null", s.labels.columns[i])
			}
			have = append(have, int64(i))
			builder.Add(strings.TrimPrefix(s.labels.columns[i], "l_"), string(value.ByteArray()))
		}
	}
	builder.Sort()
	lset := builder.Labels()
	if want := append([]int64{int64(len(have))}, have...); !slices.Equal(stated, want) {
		return lset, fmt.Errorf("s_col_indexes of %s has %v, not %v", lset, stated, want)
	}
	if want := binary.BigEndian.AppendUint64(nil, labels.StableHash(lset)); !slices.Equal(hash, want) {
		return lset, fmt.Errorf("s_series_hash of %s is %x, not %x", lset, hash, want)
	}
	return lset, nil
}

// readChunks decodes the data columns of a row in the order of time.
func (s *shard) readChunks(rows parquet.Rows) ([]Sample, error) {
	row, err := readRow(rows)
	if err != nil {
		return nil, err
	}
	slicesOfTime := make([][]Sample, len(s.chunks.columns))
	for _, value := range row {
		slice := s.sliceOf[value.Column()]
		samples, err := readEnvelope(value.ByteArray())
		if err != nil {
			return nil, fmt.Errorf("s_data_%d: %w", slice, err)
		}
		for _, sample := range samples {
			if sample.T > s.max || sample.T < s.min || (sample.T-s.min)/s.duration != int64(slice) {
				return nil, fmt.Errorf("s_data_%d: has a sample at %d", slice, sample.T)
			}
		}
		slicesOfTime[slice] = samples
	}
	return slices.Concat(slicesOfTime...), nil
}

// record is a chunk as a value of a data column holds it.
type record struct {
	encoding chunkenc.Encoding
	from, to int64
	data     []byte
}

// records splits a value: uvarint encoding, times and length, then the chunk.
func records(value []byte) (all []record, err error) {
	for len(value) > 0 {
		var head [4]uint64
		for i := range head {
			number, n := binary.Uvarint(value)
			if n <= 0 {
				return nil, fmt.Errorf("no uvarint in %x", value[:min(10, len(value))])
			}
			head[i], value = number, value[n:]
		}
		if head[3] > uint64(len(value)) {
			return nil, fmt.Errorf("a chunk of %d bytes where %d are left", head[3], len(value))
		}
		all = append(all, record{chunkenc.Encoding(head[0]), int64(head[1]), int64(head[2]), slices.Clone(value[:head[3]])})
		value = value[head[3]:]
	}
	return all, nil
}

// readEnvelope decodes the records of one value. All XOR chunks come first,
// then histograms, then float histograms, each kind in the order of time.
func readEnvelope(value []byte) ([]Sample, error) {
	chunks, err := records(value)
	if err != nil {
		return nil, err
	}
	var all []Sample
	lastEncoding, lastTime := chunkenc.EncNone, int64(0)
	for _, c := range chunks {
		samples, err := DecodeChunk(c.encoding, c.data)
		if err != nil {
			return nil, err
		}
		switch {
		case len(samples) == 0 || samples[0].T != c.from || samples[len(samples)-1].T != c.to:
			return nil, fmt.Errorf("a chunk says %d…%d and has %v", c.from, c.to, samples)
		case c.encoding < lastEncoding || c.encoding == lastEncoding && c.from <= lastTime:
			return nil, fmt.Errorf("%s at %d comes after %s until %d", c.encoding, c.from, lastEncoding, lastTime)
		}
		lastEncoding, lastTime = c.encoding, c.to
		all = append(all, samples...)
	}
	slices.SortStableFunc(all, func(a, b Sample) int { return int(a.T - b.T) })
	return all, nil
}

// checkLongChunks looks for chunks of more samples than Varve puts into one:
// each has to be, byte for byte, a chunk of a source. It gives how many there
// are, and how many chunks in all.
func checkLongChunks(t *testing.T, dir string, sources []string) (long, all int) {
	t.Helper()
	const longest = 120
	had := map[string]bool{}
	for _, source := range sources {
		for _, series := range chunksOf(t, source) {
			for _, meta := range series {
				had[string(meta.Chunk.Bytes())] = true
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.chunks.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no chunks in %s (%v)", dir, err)
	}
	for _, path := range files {
		file, err := openParquet(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.file.Close()
		for _, group := range file.RowGroups() {
			rows := group.Rows()
			defer rows.Close()
			for range group.NumRows() {
				row, err := readRow(rows)
				if err != nil {
					t.Fatal(err)
				}
				for _, value := range row {
					chunks, err := records(value.ByteArray())
					if err != nil {
						t.Fatal(err)
					}
					for _, c := range chunks {
						all++
						if binary.BigEndian.Uint16(c.data) <= longest {
							continue
						}
						if long++; !had[string(c.data)] {
							t.Errorf("%s: the chunk of %d samples at %d is of no source", path, binary.BigEndian.Uint16(c.data), c.from)
						}
					}
				}
			}
		}
	}
	return long, all
}

// TestTheCheckAcceptsWhatParquetCommonWrote proves the check on blocks of the
// layout's own makers.
func TestTheCheckAcceptsWhatParquetCommonWrote(t *testing.T) {
	golden := filepath.Join("..", "fixtures", "golden")
	for _, pair := range [][2]string{{"all-kinds", "all-kinds"}, {"floats", "floats"}, {"shards", "floats"}} {
		t.Run(pair[0], func(t *testing.T) {
			got, err := readParquetBlock(filepath.Join(golden, "parquet-common", pair[0], "block"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := ReadBlocks(blockDirs(t, filepath.Join(golden, "tsdb", pair[1])))
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Compare(want); err != nil {
				t.Error(err)
			}
		})
	}
}
