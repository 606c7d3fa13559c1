package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/thanos-io/thanos/pkg/block/metadata"
)

// toolBucket is a bucket in a folder.
type toolBucket struct {
	dir    string
	config string
}

func newToolBucket(t *testing.T) toolBucket {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bucket")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return toolBucket{dir: dir, config: fmt.Sprintf("type: FILESYSTEM\nconfig:\n  directory: %s\n", dir)}
}

// sampleBucket is a bucket with the sample, uploaded by a tool.
func sampleBucket(t *testing.T, binary string) toolBucket {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join("..", "fixtures", "sample"))); err != nil {
		t.Fatal(err)
	}
	b := newToolBucket(t)
	b.say(t, binary, "upload-blocks", "--path="+data, `--label=cluster="eu-1"`)
	return b
}

// say gives what a tool prints to stdout, and what it logs.
func (b toolBucket) say(t *testing.T, binary string, args ...string) (string, string) {
	t.Helper()
	args = append([]string{"tools", "bucket"}, append(args, "--objstore.config="+b.config)...)
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", filepath.Base(binary), strings.Join(args, " "), err, &out, &log)
	}
	return out.String(), log.String()
}

func (b toolBucket) blocks(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, dir := range blockDirs(t, b.dir) {
		ids = append(ids, filepath.Base(dir))
	}
	return ids
}

// editMeta changes a block's meta.json.
func (b toolBucket) editMeta(t *testing.T, id string, edit func(map[string]any)) {
	t.Helper()
	path := filepath.Join(b.dir, id, "meta.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	meta := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&meta); err != nil {
		t.Fatal(err)
	}
	edit(meta)
	if text, err = json.Marshal(meta); err != nil {
		t.Fatal(err)
	}
	replaceObject(t, path, text)
}

// replaceObject writes an object of a bucket in a folder, which may be a link
// to another file.
func replaceObject(t *testing.T, path string, contents []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, contents, 0o644); err != nil {
		t.Fatal(err)
	}
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}

// TestListsAndTablesOfABucketAreThoseOfThanos compares ls and inspect on
// buckets that either tool has filled.
func TestListsAndTablesOfABucketAreThoseOfThanos(t *testing.T) {
	thanos, ours := peer(t, "thanos"), varve(t)
	for _, by := range []string{thanos, ours} {
		b := sampleBucket(t, by)
		if got := len(b.blocks(t)); got != 6 {
			t.Fatalf("%d blocks after upload-blocks of %s", got, filepath.Base(by))
		}
		for _, args := range [][]string{
			{"inspect"},
			{"inspect", "--output=csv", "--sort-by=UNTIL"},
			{"inspect", "--output=tsv", "--sort-by=#SAMPLES", "--sort-by=FROM"},
			{"inspect", `--selector=cluster="eu-2"`},
		} {
			want, _ := b.say(t, thanos, args...)
			if got, _ := b.say(t, ours, args...); got != want {
				t.Errorf("%q:\n%s\nexpected\n%s", args, got, want)
			}
		}
		for _, args := range [][]string{
			{"ls"},
			{"ls", "-o", "wide"},
			{"ls", "--min-time=2025-11-23T09:59:04Z"},
			{"ls", "--selector.relabel-config=- action: drop\n  source_labels: [cluster]\n  regex: eu-1"},
		} {
			want, _ := b.say(t, thanos, args...)
			if got, _ := b.say(t, ours, args...); !slices.Equal(sortedLines(got), sortedLines(want)) {
				t.Errorf("%q:\n%s\nexpected\n%s", args, got, want)
			}
		}
		want, _ := b.say(t, thanos, "ls", "--output=json")
		got, _ := b.say(t, ours, "ls", "--output=json")
		if got, want := metas(t, got), metas(t, want); !reflect.DeepEqual(got, want) || len(want) != 6 {
			t.Errorf("%v\nexpected\n%v", got, want)
		}
	}
}

// metas decodes the output of ls as JSON.
func metas(t *testing.T, text string) map[string]metadata.Meta {
	t.Helper()
	all := map[string]metadata.Meta{}
	for decoder := json.NewDecoder(strings.NewReader(text)); decoder.More(); {
		var meta metadata.Meta
		if err := decoder.Decode(&meta); err != nil {
			t.Fatal(err)
		}
		all[meta.ULID.String()] = meta
	}
	return all
}

// TestMarksOfTwoToolsAreTheSame marks the same block with both, and lets each
// remove the other's marks.
func TestMarksOfTwoToolsAreTheSame(t *testing.T) {
	thanos, ours := peer(t, "thanos"), varve(t)
	theirs, mine := sampleBucket(t, thanos), sampleBucket(t, thanos)
	id := theirs.blocks(t)[0]
	for _, marker := range []string{"deletion-mark.json", "no-compact-mark.json", "no-downsample-mark.json"} {
		args := []string{"mark", "--id=" + id, "--marker=" + marker}
		theirs.say(t, thanos, append(args, "--details=by hand")...)
		mine.say(t, ours, append(args, "--details=by hand")...)
		read := func(b toolBucket) string {
			text, err := os.ReadFile(filepath.Join(b.dir, id, marker))
			if err != nil {
				t.Fatal(err)
			}
			return regexp.MustCompile(`_time":\d+`).ReplaceAllString(string(text), `_time":0`)
		}
		if got, want := read(mine), read(theirs); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
		theirs.say(t, ours, append(args, "--remove")...)
		mine.say(t, thanos, append(args, "--remove")...)
		for _, b := range []toolBucket{theirs, mine} {
			if _, err := os.Stat(filepath.Join(b.dir, id, marker)); !os.IsNotExist(err) {
				t.Errorf("%s is still there: %v", marker, err)
			}
		}
	}
}

// TestIssuesOfABucketAreThoseThatThanosFinds has a block twice and a block
// with chunks outside of its times.
func TestIssuesOfABucketAreThoseThatThanosFinds(t *testing.T) {
	thanos, ours := peer(t, "thanos"), varve(t)
	b := sampleBucket(t, thanos)
	ids := b.blocks(t)
	const twin = "01M87310NZ5A2EQMNG169QQ1KJ"
	if err := os.CopyFS(filepath.Join(b.dir, twin), os.DirFS(filepath.Join(b.dir, ids[0]))); err != nil {
		t.Fatal(err)
	}
	b.editMeta(t, twin, func(meta map[string]any) { meta["ulid"] = twin })
	b.editMeta(t, ids[3], func(meta map[string]any) {
		end, err := meta["maxTime"].(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		meta["maxTime"] = end - 600_000
	})
	tmp := "--tmp.dir=" + t.TempDir()
	// Thanos keeps either of the two.
	_, log := b.say(t, thanos, "verify", "--issues=duplicated_compaction")
	if !strings.Contains(log, `"blocks: 1, [<ulid: `+ids[0]) && !strings.Contains(log, `"blocks: 1, [<ulid: `+twin) {
		t.Errorf("Thanos finds no duplicate:\n%s", log)
	}
	found, _ := b.say(t, ours, "verify", "--issues=duplicated_compaction")
	if want := fmt.Sprintf("duplicated_compaction: block %s: holds what %s does\n", twin, ids[0]); found != want {
		t.Errorf("%q, expected %q", found, want)
	}
	for issue, expected := range map[string][]string{
		"index_known_issues": {ids[3]},
		"overlapped_blocks":  {ids[0], twin},
	} {
		_, log := b.say(t, thanos, "verify", "--issues="+issue)
		found, _ := b.say(t, ours, "verify", "--issues="+issue, tmp)
		for _, id := range b.blocks(t) {
			is := slices.Contains(expected, id)
			thanosFinds := false
			for line := range strings.SplitSeq(log, "\n") {
				isFinding := strings.Contains(line, "detected issue") || strings.Contains(line, "found overlapped blocks")
				thanosFinds = thanosFinds || isFinding && strings.Contains(line, id)
			}
			oursFinds := strings.Contains(found, id+":") && issue != "overlapped_blocks" ||
				strings.Contains(found, "ulid: "+id) && issue == "overlapped_blocks"
			if thanosFinds != is || oursFinds != is {
				t.Errorf("%s of %s: expected %t, Thanos finds %t, we %t:\n%s\n%s", issue, id, is, thanosFinds, oursFinds, log, found)
			}
		}
	}
}

// TestRewrittenBlocksHoldWhatThoseOfThanosHold deletes and relabels with both
// tools, and with ours by way of Parquet too.
func TestRewrittenBlocksHoldWhatThoseOfThanosHold(t *testing.T) {
	thanos, ours := peer(t, "thanos"), varve(t)
	original := sampleBucket(t, thanos)
	id := original.blocks(t)[0]
	series, err := ReadBlocks([]string{filepath.Join(original.dir, id)})
	if err != nil {
		t.Fatal(err)
	}
	const hour = 3_600_000
	const start = 1_763_856_000_000
	deletions := fmt.Sprintf(`
- matchers: '{__name__=~"go_.*"}'
- matchers: '{__name__=~"prometheus_.*",instance=~".+"}'
  intervals: [{mint: %d, maxt: %d}]
`, start+hour/3, start+hour)
	relabels := `
- action: replace
  source_labels: [instance]
  regex: '(.+):(\d+)'
  replacement: '${2}-$1'
  target_label: aaa_place
- action: labeldrop
  regex: instance
- action: labelmap
  regex: 'qua(.+)'
  replacement: 'zz_$1'
`
	for name, flags := range map[string][]string{
		"deletion":    {"--rewrite.to-delete-config=" + deletions},
		"relabelling": {"--rewrite.to-relabel-config=" + relabels},
		"both":        {"--rewrite.to-delete-config=" + deletions, "--rewrite.to-relabel-config=" + relabels},
	} {
		t.Run(name, func(t *testing.T) {
			rewrite := func(binary, id string, b toolBucket, more ...string) string {
				before := b.blocks(t)
				args := append([]string{"rewrite", "--id=" + id, "--no-dry-run", "--tmp.dir=" + filepath.Join(t.TempDir(), "tmp")}, more...)
				b.say(t, binary, args...)
				for _, dir := range b.blocks(t) {
					if !slices.Contains(before, dir) {
						return dir
					}
				}
				return ""
			}
			read := func(b toolBucket, id string) Samples {
				samples, err := ReadBlocks([]string{filepath.Join(b.dir, id)})
				if err != nil {
					t.Fatal(err)
				}
				return samples
			}
			theirs, mine := copied(t, original), copied(t, original)
			want := read(theirs, rewrite(thanos, id, theirs, flags...))
			if err := want.Compare(series); err == nil {
				t.Fatal("nothing was changed")
			}
			made := rewrite(ours, id, mine, flags...)
			if err := read(mine, made).Compare(want); err != nil {
				t.Error(err)
			}
			// Nothing is wrong with it, as Thanos sees it.
			if _, log := mine.say(t, thanos, "verify", "--id="+made, "--issues=index_known_issues"); strings.Contains(log, "detected issue") {
				t.Error(log)
			}
			// From TSDB to Parquet, changed, and back.
			parquet := mustParquet(t, mine, func() { rewrite(ours, id, mine, "--output=parquet") })
			back := rewrite(ours, parquet, mine, append(slices.Clone(flags), "--output=tsdb")...)
			if err := read(mine, back).Compare(want); err != nil {
				t.Errorf("by way of Parquet: %v", err)
			}
			// The table of ours has the Parquet block with the counts of its source.
			rows := map[string][]string{}
			table, _ := mine.say(t, ours, "inspect", "--output=tsv")
			for line := range strings.SplitSeq(table, "\n") {
				fields := strings.Split(line, "\t")
				rows[fields[0]] = fields[min(1, len(fields)):]
			}
			if got, want := rows[parquet], rows[id]; len(got) < 6 || !slices.Equal(got[:6], want[:6]) {
				t.Errorf("row of the Parquet block %q, of its source %q", got, want)
			}
		})
	}
}

// TestABucketIsDownsampledAsThanosDoes downsamples a long block with both
// tools, to five minutes and to hours, and with ours to Parquet too.
func TestABucketIsDownsampledAsThanosDoes(t *testing.T) {
	data := t.TempDir()
	if err := writeBlock(append(History(), longSeries()...), data, HistoryStart, longEnd); err != nil {
		t.Fatal(err)
	}
	original := newToolBucket(t)
	original.say(t, varve(t), "upload-blocks", "--path="+data, `--label=cluster="eu-1"`)
	// The folders of blocks by their resolution in milliseconds.
	byResolution := func(b toolBucket) map[int64]string {
		found := map[int64]string{}
		for _, id := range b.blocks(t) {
			meta, err := metadata.ReadFromDir(filepath.Join(b.dir, id))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(b.dir, id, metadata.DeletionMarkFilename)); err != nil {
				found[meta.Thanos.Downsample.Resolution] = filepath.Join(b.dir, id)
			}
		}
		return found
	}
	const fiveMinutes, oneHour = 5 * 60_000, 3_600_000
	theirs := copied(t, original)
	Start(t, t.TempDir(), "thanos-downsample", peer(t, "thanos"), "tools", "bucket", "downsample", "--data-dir="+t.TempDir(),
		"--http-address="+FreeAddress(t), "--wait-interval=1s", "--objstore.config="+theirs.config)
	await(t, "two downsampled blocks", func() error {
		// Thanos writes meta.json last.
		entries, err := filepath.Glob(filepath.Join(theirs.dir, "*", "meta.json"))
		if err == nil && len(entries) < 3 {
			err = fmt.Errorf("%d blocks", len(entries))
		}
		return err
	})
	want := byResolution(theirs)
	for _, format := range []string{"tsdb", "parquet"} {
		t.Run(format, func(t *testing.T) {
			mine := copied(t, original)
			out, _ := mine.say(t, varve(t), "downsample", "--single-run", "--data-dir="+t.TempDir(), "--compact.output="+format,
				"--http-address="+FreeAddress(t), "--output=json")
			var told struct{ Made, Failed []any }
			if err := json.Unmarshal([]byte(out), &told); err != nil || len(told.Made) != 2 || len(told.Failed) != 0 {
				t.Errorf("it says %q: %v", out, err)
			}
			if format == "parquet" {
				for _, block := range blocksBelow(t, filepath.Join(mine.dir, "parquet")) {
					mine.say(t, varve(t), "rewrite", "--id="+block, "--output=tsdb", "--no-dry-run", "--tmp.dir="+t.TempDir())
				}
			}
			got := byResolution(mine)
			for _, resolution := range []int64{fiveMinutes, oneHour} {
				if got[resolution] == "" || want[resolution] == "" {
					t.Fatalf("blocks of %d ms: %v, of Thanos: %v", resolution, got, want)
				}
				compareDownsampled(t, readDownsampled(t, got[resolution]), readDownsampled(t, want[resolution]))
			}
		})
	}
}

// blocksBelow names the blocks in a folder.
func blocksBelow(t *testing.T, dir string) []string {
	t.Helper()
	metas, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil || len(metas) == 0 {
		t.Fatalf("no blocks in %s: %v", dir, err)
	}
	var names []string
	for _, meta := range metas {
		names = append(names, filepath.Base(filepath.Dir(meta)))
	}
	return names
}

func copied(t *testing.T, b toolBucket) toolBucket {
	t.Helper()
	to := newToolBucket(t)
	if err := os.CopyFS(to.dir, os.DirFS(b.dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// mustParquet gives the Parquet block that make makes.
func mustParquet(t *testing.T, b toolBucket, make func()) string {
	t.Helper()
	make()
	dirs := blockDirs(t, filepath.Join(b.dir, "parquet"))
	if len(dirs) != 1 {
		t.Fatalf("%d Parquet blocks", len(dirs))
	}
	return filepath.Base(dirs[0])
}
