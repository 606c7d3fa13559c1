package page

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long the page may take for anything. It polls every five
// seconds.
const patience = 60 * time.Second

// browser is one Chromium for all tests.
var browser context.Context

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path := os.Getenv("CHROMIUM_BIN")
	if path == "" {
		path = "chromium"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "no Chromium: %v; make -C tests/interop chromium installs it\n", err)
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(found),
		// Of root and in containers; nothing is opened but our own pages.
		chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("force-color-profile", "srgb"),
		chromedp.WindowSize(1440, 900),
	)
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	defer end()
	var cancel context.CancelFunc
	browser, cancel = chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintf(os.Stderr, "starting %s: %v\n", found, err)
		return 1
	}
	return m.Run()
}

// tab is a tab of the browser that is watched: what it asks for, and what goes
// wrong in it.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	mu   sync.Mutex
	// complaints are errors on the console, exceptions, dialogs and requests to
	// elsewhere.
	complaints []string
}

// visit opens the page at base. At the end of the test nothing may have gone
// wrong in it.
func visit(t *testing.T, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	ctx, stop := context.WithTimeout(ctx, 2*patience)
	p := &tab{t: t, ctx: ctx, base: base}
	t.Cleanup(func() {
		p.mu.Lock()
		for _, complaint := range p.complaints {
			t.Error(complaint)
		}
		p.mu.Unlock()
		stop()
		cancel()
	})
	// It opens the tab, so that no event is missed.
	p.do()
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	call(p, network.Enable, network.EnableParams{})
	call(p, runtime.Enable, cdp.Empty{})
	call(p, log.Enable, cdp.Empty{})
	call(p, page.Enable, page.EnableParams{})
	p.prefers("light")
	p.do(chromedp.Navigate(base))
	return p
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, command, params); err != nil {
		p.t.Fatal(err)
	}
}

// prefers sets the colour scheme that the person prefers.
func (p *tab) prefers(scheme string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

func (p *tab) listen(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		url := e.Request.URL
		if !strings.HasPrefix(url, p.base) && !strings.HasPrefix(url, "data:image/svg+xml,") {
			p.complain("request to elsewhere: " + url)
		}
	case *runtime.EventConsoleAPICalled:
		p.complain(fmt.Sprintf("console.%s: %v", e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		p.complain(fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		p.complain(fmt.Sprintf("log: %s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		p.complain("dialog: " + e.Message)
	}
}

func (p *tab) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, text)
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// eval gives the value of a JavaScript expression, of a promise once it is
// fulfilled.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v: %s", err, expression)
	}
	return value
}

// script runs JavaScript.
func (p *tab) script(statement string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf("(() => { %s; return true; })()", statement))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) key(key string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(key))
}

// text is what a person reads in an element.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf("(document.querySelector(%q)?.innerText ?? '')", selector))
}

// waits until a JavaScript expression holds.
func (p *tab) waits(what, expression string) {
	p.t.Helper()
	start := time.Now()
	for !eval[bool](p, expression) {
		if time.Since(start) > patience {
			p.t.Fatalf("%s: not within %v; the page says:\n%s", what, patience, p.text("body"))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// shows waits until so many blocks are in the timeline and in the table, and
// drawn: the table is drawn with the next frame.
func (p *tab) shows(blocks int) {
	p.t.Helper()
	p.waits(fmt.Sprintf("%d blocks", blocks), fmt.Sprintf(`canvas.dataset.shown === "%d" && canvas.dataset.drawn > 0 && document.querySelector("#rows table").getAttribute("aria-rowcount") === "%d"`, blocks, blocks+1))
}

// says waits until an element has a text.
func (p *tab) says(selector, text string) {
	p.t.Helper()
	p.waits(fmt.Sprintf("%s says %q", selector, text), fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))", selector, text))
}

// filter types into the field of labels.
func (p *tab) filter(text string) {
	p.t.Helper()
	p.script(`document.getElementById("matcher").value = ""`)
	p.do(chromedp.SendKeys(chromedp.CSS("#matcher"), text))
}

// screenshot keeps a picture of the page in the target folder.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	folder := os.Getenv("PAGE_SCREENSHOTS")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "target", "page")
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
