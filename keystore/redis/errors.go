package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// hints is what to do about an error, by its first word.
var hints = [...]struct{ word, hint string }{
	{"NOAUTH", "give a password: in a file, with password_file in the URL"},
	{"WRONGPASS", "check the user and the password; the file of password_file is read again at each connection"},
	{"NOPERM", "give the user the rights in keystore/README.md, with ACL SETUSER"},
	{"OOM", "the server's memory is full: raise maxmemory; what is there is still read"},
	{"READONLY", "this is a replica: give the URL of the master, or redis+sentinel://"},
	{"LOADING", "the server is starting and loads its data: it is tried again"},
	{"MASTERDOWN", "the replica has lost its master: it is tried again"},
	{"CLUSTERDOWN", "slots of the Cluster have no node: see redis-cli --cluster check"},
	{"MOVED", "this is a node of a Cluster: use redis+cluster://"},
	{"CROSSSLOT", "this is a node of a Cluster: use redis+cluster://"},
	{"TRYAGAIN", "slots of the Cluster are moving: it is tried again"},
	{"BUSY", "a script keeps the server busy: see SCRIPT KILL"},
	{"MISCONF", "the server cannot save its data and takes no writes: see its log"},
	{"NOREPLICAS", "too few replicas answer the master: see min-replicas-to-write"},
	{"WRONGTYPE", "it is not a hash: another program uses the name; see layout, prefix and selectors"},
	{"NOPROTO", "the server is not Redis or Valkey, or too old"},
	{"DENIED", "the server is in protected mode: give it a password, or bind it to this network"},
}

// explain makes of an error of the connection or the server one for people, with the
// store's name. The server repeats arguments of a command that it does not know, and those
// may be secret.
func (b *Backend) explain(err error) error {
	return b.servers.explain(err)
}

func (c *config) explain(err error) error {
	var said resp.Error
	var hint *finding.Hint
	switch {
	case err == nil:
		return nil
	case errors.As(err, &hint):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &said):
		err = explainAnswer(err, said)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = finding.WithHint(fmt.Errorf("no answer within %v", commandWithin), "see whether the server is overloaded")
	default:
		var network net.Error
		if errors.As(err, &network) || errors.Is(err, io.EOF) {
			err = finding.WithHint(err, "see whether the server runs and can be reached from here")
		}
	}
	return fmt.Errorf("%s: %w", c.name(), err)
}

// explainAnswer is explain for what the server, or a Sentinel, has said.
func explainAnswer(err error, said resp.Error) error {
	text, _, _ := strings.Cut(string(said), ", with args")
	word, _, _ := strings.Cut(text, " ")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "ERR "), ".")
	var of *sentinelError
	if errors.As(err, &of) {
		text = "sentinel " + of.addr + ": " + text
		if word == "NOAUTH" || word == "WRONGPASS" {
			return finding.WithHint(errors.New(text),
				"give the password of the Sentinels: in a file, with sentinel_password_file in the URL")
		}
	}
	for _, h := range hints {
		if h.word == word {
			return finding.WithHint(errors.New(text), "%s", h.hint)
		}
	}
	return errors.New(text)
}
