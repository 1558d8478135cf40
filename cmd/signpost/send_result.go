package main

import (
	"errors"
	"fmt"
	"strings"

	"signpost/keystore/finding"

	"github.com/urfave/cli/v2"
)

// sent is the answer, and the machine's form of it.
type sent struct {
	Accepted   bool            `json:"accepted"`
	Server     string          `json:"server"`
	TLS        *sentTLS        `json:"tls"`  // null in clear text
	User       string          `json:"user"` // logged in as
	From       string          `json:"from"`
	Recipients []sentRecipient `json:"recipients"`
	QueueID    string          `json:"queue_id"`
	Reply      string          `json:"reply"` // to the message
	Stage      string          `json:"stage,omitempty"`
	Error      string          `json:"error,omitempty"`
	Hint       string          `json:"hint,omitempty"`
	Dialogue   []spoken        `json:"dialogue"`

	code int
}

type sentTLS struct {
	Version string   `json:"version"`
	Cipher  string   `json:"cipher"`
	Names   []string `json:"certificate_names"`
	Checked bool     `json:"certificate_checked"`
}

type sentRecipient struct {
	Address  string `json:"address"`
	Accepted bool   `json:"accepted"`
	Reply    string `json:"reply"`
}

// refused are the recipients that the server did not take.
func (r *sent) refused() (list []sentRecipient) {
	for _, recipient := range r.Recipients {
		if !recipient.Accepted {
			list = append(list, recipient)
		}
	}
	return list
}

// fail notes what went wrong, and works out the exit code: 1 for a no that
// stays, 3 for a server that cannot be reached or says "not now" (4xx).
func (r *sent) fail(err error, p *sending) {
	var at *stageError
	switch {
	case err == nil && len(r.refused()) == 0:
		return
	case err == nil:
		first := r.refused()[0]
		r.Stage = "RCPT"
		r.Error = fmt.Sprintf("the server takes the message, but not for %d of %d recipients", len(r.refused()),
			len(r.Recipients))
		r.Hint = hintFor(&stageError{stage: "RCPT", reply: parsedReply(first.Reply)}, p)
		r.code = exitUnknown
		for _, recipient := range r.refused() {
			if strings.HasPrefix(recipient.Reply, "5") {
				r.code = exitFinding
			}
		}
	case errors.As(err, &at):
		r.Stage, r.Error, r.Hint = at.stage, p.dialogue.clean(at.Error()), p.dialogue.clean(hintFor(at, p))
		r.code = at.exitCode()
	default:
		r.Error, r.code = p.dialogue.clean(err.Error()), exitUnknown
	}
}

func parsedReply(text string) *reply {
	code, _, rest, _ := parseReplyLine(text)
	return &reply{code: code, lines: []string{rest}}
}

func (r *sent) exit() error {
	if r.code == 0 {
		return nil
	}
	return exitCode(r.code)
}

// print ends the dialogue with what came of it and what to look at next.
func (r *sent) print(c *cli.Context) error {
	s, w := styleOf(c), c.App.Writer
	if !c.Bool("quiet") {
		fmt.Fprintln(w)
	}
	if r.Accepted {
		queued := ""
		if r.QueueID != "" {
			queued = ", queue id " + r.QueueID
		}
		fmt.Fprintf(w, "%s by %s%s\n", s.green("accepted"), r.Server, queued)
		if r.QueueID != "" {
			fmt.Fprintf(w, "   next  look for %s in the logs of Postfix and signpostd\n", r.QueueID)
		}
		fmt.Fprintln(w, "   then  save the message as it arrived, with its whole header, and "+
			"run\n         signpost verify FILE")
	}
	for _, recipient := range r.refused() {
		fmt.Fprintf(w, "%s: %s: %s\n", s.red("refused"), recipient.Address, recipient.Reply)
	}
	if r.Error == "" {
		return nil
	}
	if r.Hint == "" {
		return exitError{r.code, errors.New(r.Error)}
	}
	return exitError{r.code, &finding.Hint{Err: errors.New(r.Error), Advice: r.Hint}}
}
