package interop

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/thanos-io/thanos/pkg/block/metadata"
)

// TestBlocksWithIssuesOfTheIndexAreRepairedAsThanosDoes damages indexes as
// old releases of Prometheus and Thanos wrote them, repairs each with both
// tools, and compares what the new blocks hold. No writer of today makes such
// an index, so bytes of a good one are changed.
func TestBlocksWithIssuesOfTheIndexAreRepairedAsThanosDoes(t *testing.T) {
	thanos, ours := peer(t, "thanos"), varve(t)
	data := t.TempDir()
	if err := writeBlock(History(), data, HistoryStart, HistoryStart+2*3_600_000); err != nil {
		t.Fatal(err)
	}
	sound := newToolBucket(t)
	sound.say(t, thanos, "upload-blocks", "--path="+data, `--label=cluster="eu-1"`)
	id := sound.blocks(t)[0]
	for name, issue := range map[string]struct {
		change func(of []chunks.Meta)
		// What ours says of the chunks of so many series.
		found string
		// Whether Thanos repairs it too; it leaves chunks that are there twice.
		isThanos bool
	}{
		"chunks out of order": {
			change:   func(of []chunks.Meta) { of[0], of[1] = of[1], of[0] },
			found:    "%[1]d of 450 series have %[1]d out-of-order chunks, of which 0 are duplicates",
			isThanos: true,
		},
		"a chunk twice": {
			change: func(of []chunks.Meta) { of[1] = of[0] },
			found:  "%[1]d of 450 series have %[1]d out-of-order chunks, of which %[1]d are duplicates",
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken := copied(t, sound)
			want, changed := changeChunks(t, filepath.Join(broken.dir, id), issue.change)
			if changed < 10 {
				t.Fatalf("%d series could be changed", changed)
			}
			if _, log := broken.say(t, thanos, "verify", "--issues=index_known_issues"); strings.Contains(log, "detected issue") != issue.isThanos {
				t.Error(log)
			}
			repair := func(binary, delay string) (toolBucket, string) {
				b, backup := copied(t, broken), newToolBucket(t)
				out, log := b.say(t, binary, "verify", "--repair", "--issues=index_known_issues", "--delete-delay="+delay, "--objstore-backup.config="+backup.config)
				if found := "index_known_issues: block " + id + ": " + fmt.Sprintf(issue.found, changed) + "\n"; binary == ours && out != found {
					t.Errorf("found %q, expected %q", out, found)
				}
				if kept := backup.blocks(t); !slices.Equal(kept, []string{id}) {
					t.Errorf("blocks in the other bucket: %q", kept)
				}
				for _, file := range []string{"index", "chunks/000001"} {
					kept, err := os.ReadFile(filepath.Join(backup.dir, id, file))
					if old, _ := os.ReadFile(filepath.Join(broken.dir, id, file)); err != nil || !bytes.Equal(kept, old) {
						t.Errorf("%s in the other bucket: %d bytes, expected %d: %v", file, len(kept), len(old), err)
					}
				}
				if is := slices.Contains(b.blocks(t), id); is != (delay != "0s") {
					t.Errorf("%s with a delay of %s: the old block is there: %t", filepath.Base(binary), delay, is)
				}
				made := slices.DeleteFunc(b.blocks(t), func(block string) bool { return block == id })
				if len(made) != 1 {
					t.Fatalf("new blocks %q\n%s", made, log)
				}
				_, err := os.Stat(filepath.Join(b.dir, id, metadata.DeletionMarkFilename))
				if isMarked := err == nil; isMarked != (delay != "0s") {
					t.Errorf("%s with a delay of %s: the old block is marked: %t", filepath.Base(binary), delay, isMarked)
				}
				if _, log := b.say(t, thanos, "verify", "--id="+made[0], "--issues=index_known_issues"); strings.Contains(log, "detected issue") {
					t.Error(log)
				}
				if found, _ := b.say(t, ours, "verify", "--id="+made[0], "--issues=index_known_issues"); found != "" {
					t.Error(found)
				}
				got, err := ReadBlocks([]string{filepath.Join(b.dir, made[0])})
				if err != nil {
					t.Fatal(err)
				}
				if err := got.Compare(want); err != nil {
					t.Errorf("%s with a delay of %s: %v", filepath.Base(binary), delay, err)
				}
				return b, made[0]
			}
			if issue.isThanos {
				repair(thanos, "0s")
			}
			repair(ours, "0s")
			b, made := repair(ours, "1h")
			// Without its mark the old block is one that the new one replaces.
			b.say(t, ours, "mark", "--id="+id, "--marker="+metadata.DeletionMarkFilename, "--remove")
			plan := Run(t, ours, "compact", "plan", "--consistency-delay=0s", "--data-dir="+t.TempDir(), "--objstore.config="+b.config, "--output=json")
			var told struct {
				Covered []struct{ Block, By string }
			}
			if err := json.Unmarshal([]byte(plan), &told); err != nil || len(told.Covered) != 1 || told.Covered[0].Block != id || told.Covered[0].By != made {
				t.Errorf("%v, plan %s", err, plan)
			}
		})
	}
}

// changeChunks changes the chunks of series in a block's index, as far as the
// new entries fit into the place of the old ones. It gives what can still be
// read of the block, and how many series it changed.
func changeChunks(t *testing.T, dir string, change func([]chunks.Meta)) (Samples, int) {
	t.Helper()
	path := filepath.Join(dir, "index")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := index.NewFileReader(path, index.DecodePostingsRaw)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	segments, err := chunks.NewDirReader(filepath.Join(dir, "chunks"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer segments.Close()
	name, value := index.AllPostingsKey()
	all, err := reader.Postings(t.Context(), name, value)
	if err != nil {
		t.Fatal(err)
	}
	var (
		builder  labels.ScratchBuilder
		readable = Samples{}
		changed  int
	)
	for all.Next() {
		var metas []chunks.Meta
		if err := reader.Series(all.At(), &builder, &metas); err != nil {
			t.Fatal(err)
		}
		if len(metas) > 1 {
			altered := slices.Clone(metas)
			change(altered)
			if putSeries(file[16*all.At():], altered) {
				changed++
				metas = altered
			}
		}
		slices.SortFunc(metas, func(a, b chunks.Meta) int { return cmp.Compare(a.MinTime, b.MinTime) })
		for _, meta := range slices.CompactFunc(metas, func(a, b chunks.Meta) bool { return a.Ref == b.Ref }) {
			chunk, _, err := segments.ChunkOrIterable(meta)
			if err != nil {
				t.Fatal(err)
			}
			samples, err := drain(chunk.Iterator(nil))
			if err != nil {
				t.Fatal(err)
			}
			readable.Add(builder.Labels(), samples...)
		}
	}
	if err := all.Err(); err != nil {
		t.Fatal(err)
	}
	replaceObject(t, path, file)
	return readable, changed
}

// putSeries gives the series at the start of an index's bytes other chunks, if
// there is room before the next one.
func putSeries(entry []byte, of []chunks.Meta) bool {
	length, head := binary.Uvarint(entry)
	body := entry[head : head+int(length)]
	room := (head + len(body) + crc32.Size + 15) / 16 * 16
	names, end := binary.Uvarint(body)
	for range 2 * names {
		_, n := binary.Uvarint(body[end:])
		end += n
	}
	made := slices.Clone(body[:end])
	made = binary.AppendUvarint(made, uint64(len(of)))
	for i, meta := range of {
		if i == 0 {
			made = binary.AppendVarint(made, meta.MinTime)
		} else {
			made = binary.AppendUvarint(made, uint64(meta.MinTime-of[i-1].MaxTime))
		}
		made = binary.AppendUvarint(made, uint64(meta.MaxTime-meta.MinTime))
		if i == 0 {
			made = binary.AppendUvarint(made, uint64(meta.Ref))
		} else {
			made = binary.AppendVarint(made, int64(meta.Ref)-int64(of[i-1].Ref))
		}
	}
	whole := binary.AppendUvarint(nil, uint64(len(made)))
	whole = append(whole, made...)
	whole = binary.BigEndian.AppendUint32(whole, crc32.Checksum(made, crc32.MakeTable(crc32.Castagnoli)))
	if len(whole) > room {
		return false
	}
	clear(entry[copy(entry, whole):room])
	return true
}
