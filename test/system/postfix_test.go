package system

import (
	"signpost/test/lab"
)

// A postfix is a private Postfix instance with a stock configuration.
type postfix struct {
	*lab.Postfix
	w    *world
	addr string // where it takes mail: IP address and port
}

// startPostfix runs a Postfix that submits to the milter (in Postfix's
// notation, or "" for none). Settings are further lines of main.cf; they win.
func (w *world) startPostfix(milter string, settings ...string) *postfix {
	w.t.Helper()
	ip := w.net + ".1"
	stock := []string{
		"inet_interfaces = " + ip,
		"smtpd_milters = " + milter,
		"non_smtpd_milters = $smtpd_milters",
		"milter_protocol = 6",
		"header_size_limit = 4096000", // as the container images have it
		"message_size_limit = 0",
		"mailbox_size_limit = 0",
		"queue_run_delay = 2s",
		"minimal_backoff_time = 2s",
		"maximal_backoff_time = 2s",
	}
	started, err := lab.StartPostfix(w.dir+"/postfix", w.command, submission+w.services, append(stock, settings...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &postfix{Postfix: started, w: w, addr: ip + ":587"}
	w.logs = append(w.logs, p.Log)
	w.t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			w.t.Error(err)
		}
	})
	return p
}

// submission is the line of master.cf for the port that takes mail.
const submission = "587 inet n - n - - smtpd\n"
