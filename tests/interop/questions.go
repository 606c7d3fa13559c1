package interop

import (
	"fmt"
	"net/url"
	"strconv"
)

// Question is an expression and when to ask it: at the instant Start, or over
// a range when Step is not zero. Milliseconds; End is inclusive.
type Question struct {
	Expr       string
	Start, End int64
	Step       int64
}

// instants lie on both sides of Middle, on it, and near both ends.
var instants = []int64{
	HistoryStart + 63*minute,
	Middle - 3*hour + 17,
	Middle,
	Middle + 61*minute,
	HistoryEnd - 5*minute,
}

// HandPicked asks an expression over the whole history, over some minutes
// around Middle, and at several instants.
func HandPicked(expr string) []Question {
	all := []Question{
		{Expr: expr, Start: HistoryStart, End: HistoryEnd - minute, Step: 7 * minute},
		{Expr: expr, Start: Middle - 10*minute, End: Middle + 10*minute, Step: 15 * second},
	}
	for _, at := range instants {
		all = append(all, Question{Expr: expr, Start: at})
	}
	return all
}

// RandomRange asks a random expression over hours on both sides of Middle.
func RandomRange(expr string) Question {
	return Question{Expr: expr, Start: Middle - 3*hour, End: Middle + 3*hour, Step: 11 * minute}
}

// RandomInstant asks a random expression once.
func RandomInstant(expr string) Question {
	return Question{Expr: expr, Start: Middle + 61*minute}
}

func (q Question) String() string {
	if q.Step == 0 {
		return fmt.Sprintf("%s @ %d", q.Expr, q.Start)
	}
	return fmt.Sprintf("%s @ %d…%d step %d", q.Expr, q.Start, q.End, q.Step)
}

// Path is how the HTTP API is asked.
func (q Question) Path() string {
	at := func(t int64) string { return strconv.FormatFloat(float64(t)/1000, 'f', 3, 64) }
	if q.Step == 0 {
		return "/api/v1/query?" + url.Values{"query": {q.Expr}, "time": {at(q.Start)}}.Encode()
	}
	return "/api/v1/query_range?" + url.Values{
		"query": {q.Expr}, "start": {at(q.Start)}, "end": {at(q.End)}, "step": {at(q.Step)},
	}.Encode()
}
