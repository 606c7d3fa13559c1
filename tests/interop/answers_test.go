package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Answer is what the HTTP API of Prometheus, or of Thanos, answered, in a form
// that equals another's exactly when the answers do.
type Answer struct {
	// Error is the type of the error, or empty.
	Error string
	Type  string
	// Lines are the series or samples as text: in the order of the answer
	// where the expression asks for one, else sorted.
	Lines []string
}

// Ask puts a question to an API, with more parameters of this API. The error is
// for what is no answer at all.
func Ask(ctx context.Context, base string, q Question, more string) (Answer, error) {
	_, text, err := fetch(ctx, base+q.Path()+more)
	if err != nil {
		return Answer{}, err
	}
	answer, err := parseAnswer(text)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %s", err, text)
	}
	if !strings.HasPrefix(q.Expr, "sort") {
		slices.Sort(answer.Lines)
	}
	return answer, nil
}

func parseAnswer(text []byte) (Answer, error) {
	var envelope struct {
		Status    string
		ErrorType string
		Data      struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return Answer{}, err
	}
	if envelope.Status != "success" {
		if envelope.ErrorType == "" {
			return Answer{}, fmt.Errorf("neither a success nor an error")
		}
		return Answer{Error: envelope.ErrorType}, nil
	}
	answer := Answer{Type: envelope.Data.ResultType}
	switch answer.Type {
	case "scalar", "string":
		answer.Lines = []string{string(envelope.Data.Result)}
	case "vector", "matrix":
		var series []struct {
			Metric                               map[string]string
			Value, Values, Histogram, Histograms any
		}
		if err := json.Unmarshal(envelope.Data.Result, &series); err != nil {
			return Answer{}, err
		}
		for _, s := range series {
			// Maps are encoded in the order of their keys; values of samples
			// are strings and stay as they were written.
			line, err := json.Marshal([]any{s.Metric, s.Value, s.Values, s.Histogram, s.Histograms})
			if err != nil {
				return Answer{}, err
			}
			answer.Lines = append(answer.Lines, string(line))
		}
	default:
		return Answer{}, fmt.Errorf("result type %q", answer.Type)
	}
	return answer, nil
}

// Differs tells how an answer is not the wanted one, or gives nothing.
func (a Answer) Differs(want Answer) string {
	switch {
	case a.Error != want.Error:
		return fmt.Sprintf("error %q, not %q", a.Error, want.Error)
	case a.Type != want.Type:
		return fmt.Sprintf("type %q, not %q", a.Type, want.Type)
	case slices.Equal(a.Lines, want.Lines):
		return ""
	}
	text := fmt.Sprintf("%d lines, not %d", len(a.Lines), len(want.Lines))
	for i := range max(len(a.Lines), len(want.Lines)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "nothing"
		}
		if g, w := line(a.Lines), line(want.Lines); g != w {
			at := 0
			for at < min(len(g), len(w)) && g[at] == w[at] {
				at++
			}
			at = max(0, at-200)
			return fmt.Sprintf("%s; line %d from byte %d on:\n   is %.400s\n  not %.400s", text, i, at, g[at:], w[at:])
		}
	}
	return text
}

func TestAnswersAreComparedToTheLastDigit(t *testing.T) {
	vector := func(result string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[` + result + `]}}`
	}
	one := `{"metric":{"a":"1","b":"2"},"value":[1.5,"NaN"]}`
	two := `{"metric":{"a":"2"},"value":[1.5,"0.1"]}`
	for _, c := range []struct {
		name, got, want string
		same            bool
	}{
		{"the order of labels is no difference", vector(`{"metric":{"b":"2","a":"1"},"value":[1.5,"NaN"]}`), vector(one), true},
		{"NaN equals NaN", vector(one), vector(one), true},
		{"the last digit is one", vector(`{"metric":{"a":"2"},"value":[1.5,"0.10000000000000002"]}`), vector(two), false},
		{"the sign of zero is one", vector(`{"metric":{},"value":[1.5,"-0"]}`), vector(`{"metric":{},"value":[1.5,"0"]}`), false},
		{"a time is one", vector(`{"metric":{"a":"2"},"value":[1.501,"0.1"]}`), vector(two), false},
		{"a series too few is one", vector(one), vector(one + "," + two), false},
		{"a series too many is one", vector(one + "," + two), vector(one), false},
		{"a label is one", vector(`{"metric":{"a":"2","b":""},"value":[1.5,"0.1"]}`), vector(two), false},
		{"a histogram is none of a float", vector(`{"metric":{"a":"2"},"histogram":[1.5,{"count":"1"}]}`), vector(two), false},
		{"an error is one", `{"status":"error","errorType":"execution"}`, vector(""), false},
		{"the error's kind is one", `{"status":"error","errorType":"execution"}`, `{"status":"error","errorType":"bad_data"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseAnswer([]byte(c.got))
			if err != nil {
				t.Fatal(err)
			}
			want, err := parseAnswer([]byte(c.want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := got.Differs(want); (diff == "") != c.same {
				t.Errorf("difference %q", diff)
			}
		})
	}
}
