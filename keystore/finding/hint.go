package finding

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Hint is an error with advice: what to do about it. Its text is that of the
// error alone, and stays so however it is wrapped; only where an error is shown
// does the advice follow it.
type Hint struct {
	Err    error
	Advice string
}

func (h *Hint) Error() string { return h.Err.Error() }

func (h *Hint) Unwrap() error { return h.Err }

// WithHint returns an error with advice, which is put together as fmt.Sprintf
// does.
func WithHint(err error, advice string, args ...any) error {
	if len(args) > 0 {
		advice = fmt.Sprintf(advice, args...)
	}
	return &Hint{Err: err, Advice: advice}
}

// Split returns what an error says and its advice: that of the outermost Hint,
// empty where there is none.
func Split(err error) (what, advice string) {
	var hint *Hint
	if errors.As(err, &hint) {
		return err.Error(), hint.Advice
	}
	return err.Error(), ""
}

// Text returns an error and its advice in one line, for where there is only one
// string, such as a field of a status page.
func Text(err error) string {
	what, advice := Split(err)
	if advice == "" {
		return what
	}
	return what + hintMark + advice
}

// Attr returns the attributes of a log line for an error: err, and hint where
// there is advice.
func Attr(err error) slog.Attr {
	what, advice := Split(err)
	if advice == "" {
		return slog.String("err", what)
	}
	return slog.Group("", slog.String("err", what), slog.String("hint", advice))
}

// ParseText takes apart what Text has put together, where another program sent it.
func ParseText(text string) (what, advice string) {
	what, advice, _ = strings.Cut(text, hintMark)
	return what, advice
}

// ParseError returns the error that Text has put into words.
func ParseError(text string) error {
	what, advice := ParseText(text)
	if advice == "" {
		return errors.New(what)
	}
	return WithHint(errors.New(what), advice)
}

const hintMark = "; hint: "
