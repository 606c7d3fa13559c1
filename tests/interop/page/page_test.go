package page

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hostile are values of labels that would do something if they were anything
// but text.
var hostile = []string{
	`<img src=x onerror=alert(1)>`,
	`</script><script>alert(2)</script>`,
	"\u202egnp.exe \u2066 turned",
	strings.Repeat("long", 2000),
}

func TestPageDrawsFiltersOpensAndFollowsTheBucket(t *testing.T) {
	bucket := newBucket(t)
	bucket.upload(start, 12, `cluster="eu-1"`, `replica="a"`)
	bucket.upload(start, 12, `cluster="eu-1"`, `replica="b"`)
	bucket.upload(start, 6, `cluster="us-1"`, `replica="a"`)
	p := visit(t, bucket.serve("tools", "bucket", "web", "--refresh=1s"))
	p.shows(30)
	if title := eval[string](p, "document.title"); title != "Blocks · varve tools bucket web" {
		t.Error(title)
	}

	for filter, blocks := range map[string]int{
		`{cluster="eu-1"}`:               24,
		`{cluster="eu-1", replica!="b"}`: 12,
		`cluster=~"us-.*|none"`:          6,
	} {
		p.filter(filter)
		p.shows(blocks)
	}
	p.filter(`{cluster="nowhere"}`)
	p.says("#empty", "No block matches the filter")
	p.filter(`{cluster=~"("}`)
	p.says("#matcher-error", "Invalid regular expression")
	p.click("button[type=reset]")
	p.shows(30)
	p.script(`const e = document.getElementById("format"); e.value = "parquet"; e.dispatchEvent(new Event("input", {bubbles: true}))`)
	p.says("#empty", "No block matches the filter")
	p.click("button[type=reset]")
	p.shows(30)

	// A click in the middle of the first block.
	open := func(at int64) {
		x := eval[float64](p, fmt.Sprintf(`(() => { const box = canvas.getBoundingClientRect(), {from, to} = canvas.dataset;
			return box.left + 64 + (%d - from) / (to - from) * (box.width - 64); })()`, at))
		y := eval[float64](p, `canvas.getBoundingClientRect().top + 26 + 22 + 2.5 + 7`)
		p.do(chromedp.MouseClickXY(x, y))
	}
	open(start + hour)
	p.says("#details", "index")
	for _, said := range []string{`cluster="eu-1"`, `replica="a"`, "TSDB", "20 series", "bucket.upload"} {
		p.says("#details", said)
	}
	day := time.UnixMilli(start).UTC().Format("2006-01-02")
	p.says("#details", day+" 00:00:00 UTC")
	p.key(kb.Escape)
	p.waits("the block is closed", `document.getElementById("block").hidden`)

	// The wheel zooms at the pointer.
	before := eval[float64](p, "canvas.dataset.to - canvas.dataset.from")
	box := eval[[]float64](p, "(() => { const b = canvas.getBoundingClientRect(); return [b.left + 300, b.top + 80]; })()")
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseWheel, box[0], box[1], func(e *input.DispatchMouseEventParams) {
		// Zero is left out of the message, and then the event is refused.
		e.DeltaX, e.DeltaY, e.Modifiers = 0.01, -120, 2
	}))
	p.waits("the wheel zooms", fmt.Sprintf("canvas.dataset.to - canvas.dataset.from < %f * 0.9", before))
	p.click("#fit")

	// It follows the bucket, a mark included.
	bucket.upload(start+24*hour, 1, `cluster="us-1"`, `replica="a"`)
	p.shows(31)
	first := eval[string](p, `document.querySelector("#rows tbody button").innerText`)
	bucket.varve("tools", "bucket", "mark", "--id", first, "--marker", "no-compact-mark.json", "--details", "under <b>investigation</b>")
	p.says("#rows tbody", "no compaction")
	open(start + hour)
	p.says("#details", "under <b>investigation</b>")
}

func TestPageIsUsableByKeyboard(t *testing.T) {
	bucket := newBucket(t)
	bucket.upload(start, 3, `cluster="eu-1"`, `replica="a"`)
	bucket.upload(start, 3, `cluster="us-1"`, `replica="a"`)
	p := visit(t, bucket.serve("tools", "bucket", "web"))
	p.shows(6)
	presses := 0
	for !eval[bool](p, "document.activeElement === canvas") {
		if presses++; presses > 20 {
			t.Fatal("Tab does not lead to the timeline")
		}
		p.key(kb.Tab)
	}
	if !eval[bool](p, `canvas.matches(":focus-visible") && getComputedStyle(canvas).outlineStyle !== "none"`) {
		t.Error("nothing shows that the timeline has the focus")
	}
	press := func(key string) string {
		p.key(key)
		return eval[string](p, "canvas.dataset.selected ?? ''")
	}
	first, second := press(kb.ArrowRight), press(kb.ArrowRight)
	if first == "" || first == second {
		t.Errorf("arrows select %q and %q", first, second)
	}
	p.says("#cursor", second)
	down := press(kb.ArrowDown)
	p.says("#cursor", `cluster="us-1"`)
	press(kb.Enter)
	p.says("#details", down)
	p.waits("the block has the focus", `document.activeElement.id === "block-title"`)
	press(kb.Escape)
	p.waits("the timeline has the focus again", "document.activeElement === canvas")
	width := eval[float64](p, "canvas.dataset.to - canvas.dataset.from")
	press("+")
	p.waits("+ zooms", fmt.Sprintf("canvas.dataset.to - canvas.dataset.from < %f", width))
	// The table says the same, to those who do not see the canvas.
	if rows := eval[string](p, `document.querySelector("#rows table").getAttribute("aria-rowcount")`); rows != "7" {
		t.Errorf("the table has %s rows", rows)
	}
	p.script(`document.querySelector("#rows tbody tr:nth-child(2) button").focus()`)
	p.key(kb.ArrowDown)
	focused := eval[string](p, "document.activeElement.innerText")
	press(kb.Enter)
	p.says("#details", focused)
}

func TestPageShowsLabelsAsTextWhateverIsInThem(t *testing.T) {
	bucket := newBucket(t)
	for i, value := range hostile {
		bucket.made(block{from: start, to: start + 2*hour, level: 1, labels: map[string]string{"cluster": value, "replica": strings.Repeat("a", i+1), `n"><b>`: "name"}})
	}
	bucket.put("01JD0000000000000000000000/meta.json", `<img src=x onerror=alert(3)>`)
	p := visit(t, bucket.serve("tools", "bucket", "web"))
	p.shows(len(hostile))
	p.says("#broken", "01JD0000000000000000000000")
	for place := range hostile {
		p.script(fmt.Sprintf(`document.querySelectorAll("#rows tbody button")[%d].click()`, place))
		p.says("#details", "cluster=")
	}
	p.filter(`{cluster="<img src=x onerror=alert(1)>"}`)
	p.shows(1)
	p.script(`document.querySelector("#rows tbody button").click()`)
	p.says("#details", `cluster="<img src=x onerror=alert(1)>"`)
	p.says("#details", `n"><b>="name"`)
	p.screenshot("hostile")
	p.filter(`{replica="aaa"}`)
	p.says("#rows tbody", "⟨U+202E⟩")
	p.script(`document.querySelector("#rows tbody button").click()`)
	p.says("#details", "⟨U+202E⟩gnp.exe")
	if found := eval[int](p, `document.querySelectorAll("img, b:empty, iframe, body script ~ script").length`); found != 0 {
		t.Errorf("%d elements were made of labels", found)
	}
	if turned := eval[bool](p, `document.body.innerText.includes("\u202e")`); turned {
		t.Error("a label turns the text around it")
	}
}

func TestPageShowsThatTheBucketCannotBeListed(t *testing.T) {
	bucket := newBucket(t)
	bucket.upload(start, 2, `cluster="eu-1"`)
	p := visit(t, bucket.serve("tools", "bucket", "web", "--refresh=1s"))
	p.shows(2)
	away := bucket.dir + ".away"
	if err := os.Rename(bucket.dir, away); err != nil {
		t.Fatal(err)
	}
	bucketIsFile := os.WriteFile(bucket.dir, nil, 0o644)
	if bucketIsFile != nil {
		t.Fatal(bucketIsFile)
	}
	p.says(".banner.bad", "The bucket could not be listed")
	p.says(".banner.bad", filepath.Base(bucket.dir))
	p.says("#freshness", "not up to date")
	p.shows(2)
	p.screenshot("failure")
	if err := os.Remove(bucket.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, bucket.dir); err != nil {
		t.Fatal(err)
	}
	p.waits("the error goes", `document.querySelector(".banner") === null`)
	p.says("#freshness", "listed")
}

func TestPageOfACompactorShowsWhatItPlansDidAndFailedToDo(t *testing.T) {
	bucket := newBucket(t)
	bucket.upload(start, 13, `cluster="eu-1"`)
	damaged := newBucket(t)
	damaged.upload(start, 6, `cluster="us-1"`)
	files, err := filepath.Glob(filepath.Join(damaged.dir, "*", "chunks", "000001"))
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(files[1], text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(bucket.dir, os.DirFS(damaged.dir)); err != nil {
		t.Fatal(err)
	}
	p := visit(t, bucket.serve("compact", "--wait", "--wait-interval=30s", "--consistency-delay=0s", "--data-dir", t.TempDir()))
	p.says("#failed", filepath.Base(filepath.Dir(filepath.Dir(files[1]))))
	p.says("#failed", "chunks/000001")
	p.says("#waiting", "the newest of their group")
	p.says("#waiting", "marked for deletion")
	p.says("#rows tbody", "Parquet")
	p.says(".banner.warn", "failed")
	p.says("#running", "Nothing runs.")
	p.screenshot("compactor")
}

// TestPageShowsALongHistory is where the picture of docs/page.md comes from.
func TestPageShowsALongHistory(t *testing.T) {
	const day = 24 * hour
	bucket := newBucket(t)
	now := time.Now().UnixMilli()
	before := func(window int64) int64 { return now / window * window }
	held := ""
	for _, labels := range []map[string]string{
		{"cluster": "eu-1", "replica": "a"},
		{"cluster": "eu-1", "replica": "b"},
		{"cluster": "us-1", "prometheus": "monitoring/k8s", "replica": "a"},
	} {
		add := func(from, to int64, level int, resolution int64, parquet bool, sources ...string) string {
			return bucket.made(block{from, to, level, resolution, labels, parquet, sources})
		}
		weeks := before(14 * day)
		for from := weeks - 28*day; from < weeks; from += 14 * day {
			raw := add(from, from+14*day, 4, 0, true)
			add(from, from+14*day, 4, 300_000, true, raw)
			add(from, from+14*day, 4, 3_600_000, true, raw)
		}
		for from := weeks; from < before(2*day); from += 2 * day {
			raw := add(from, from+2*day, 3, 0, true)
			add(from, from+2*day, 3, 300_000, true, raw)
		}
		for from := before(2 * day); from < before(8*hour); from += 8 * hour {
			add(from, from+8*hour, 2, 0, true)
		}
		// Their window is not complete, whenever this runs.
		for from := before(8 * hour); from < before(8*hour)+6*hour; from += 2 * hour {
			id := add(from, from+2*hour, 1, 0, false)
			if from == before(8*hour)+2*hour {
				held = id
			}
		}
	}
	bucket.varve("tools", "bucket", "mark", "--id", held, "--marker", "no-compact-mark.json", "--details", "kept for the incident of Monday")
	p := visit(t, bucket.serve("compact", "--wait", "--wait-interval=30s", "--consistency-delay=0s", "--data-dir", t.TempDir()))
	p.says("#waiting", "alone in their window")
	p.says("#waiting", "whose window is not complete")
	p.says("#waiting", "marked as not to be compacted")
	for selector, blocks := range map[string]string{"300000": "5 m", "3600000": "1 h"} {
		p.script(fmt.Sprintf(`const e = document.getElementById("resolution"); e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true}))`, selector))
		p.waits("blocks of "+blocks, fmt.Sprintf(`[...document.querySelectorAll("#rows tbody tr:not(.pad) td:nth-child(5)")].every((e) => e.innerText === %q)`, blocks))
	}
	p.click("button[type=reset]")
	p.filter(`{cluster="us-1"}`)
	p.says("#table-count", " of ")
	p.says("#rows tbody", "no compaction")
	p.script(`[...document.querySelectorAll("#rows tbody tr")].find((e) => e.innerText.includes("no compaction")).querySelector("button").click()`)
	p.says("#details", "kept for the incident of Monday")
	p.click("button[type=reset]")
	time.Sleep(300 * time.Millisecond)
	p.screenshot("light")
	p.prefers("dark")
	time.Sleep(300 * time.Millisecond)
	p.screenshot("dark")
}

func TestPageIsRightAndFastWithAHundredThousandBlocks(t *testing.T) {
	bucket := newBucket(t)
	server := manyServer(t, bucket.serve("tools", "bucket", "web"))
	begun := time.Now()
	p := visit(t, server)
	p.shows(manyBlocks)
	t.Logf("shown after %v", time.Since(begun))
	frames := func(what, key string) {
		took := eval[[][]float64](p, fmt.Sprintf(`new Promise((resolve) => {
			const took = [];
			let last = performance.now(), left = 40;
			const step = () => {
				const now = performance.now();
				took.push([now - last, Number(canvas.dataset.drawMs)]);
				last = now;
				if (left-- === 0) return resolve(took.slice(2));
				canvas.dispatchEvent(new KeyboardEvent("keydown", %s));
				requestAnimationFrame(step);
			};
			requestAnimationFrame(step);
		})`, key))
		var between, drawing []float64
		for _, one := range took {
			between, drawing = append(between, one[0]), append(drawing, one[1])
		}
		slices.Sort(between)
		slices.Sort(drawing)
		last := len(took) - 1
		t.Logf("%s: drawing takes %.1f ms (median), %.1f ms (most); frames come every %.1f ms (median), %.1f ms (most)", what, drawing[last/2], drawing[last], between[last/2], between[last])
		if drawing[last/2] > 50 {
			t.Errorf("%s: a frame takes %.1f ms", what, drawing[last/2])
		}
	}
	frames("zooming out", `{key: "-"}`)
	p.click("#fit")
	frames("panning", `{key: "ArrowRight", shiftKey: true}`)
	p.click("#fit")
	frames("zooming in", `{key: "+"}`)
	p.click("#fit")
	p.screenshot("many")
	if rows := eval[int](p, `document.querySelectorAll("#rows tr").length`); rows > 200 {
		t.Errorf("%d rows of the table are in the document", rows)
	}
	begun = time.Now()
	p.filter(`{cluster="eu-7"}`)
	p.shows(manyBlocks / manyGroups)
	t.Logf("filtered after %v", time.Since(begun))
}
