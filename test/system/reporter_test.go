package system

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"signpost/test/lab"
)

// A reporter is a receiver that judges mail by DMARC and reports on it: a Postfix with Debian's
// rspamd as its milter. What it accepts, and its reports, come to the sink.
type reporter struct {
	*postfix
	dir  string
	conf string // of rspamd
	zone string // TZ
}

// startReporter starts one that listens on port 25 of an address outside of loopback, whose
// clients rspamd would not judge, and receives for receiver.test.
func (w *world) startReporter(address string) *reporter {
	w.t.Helper()
	r := &reporter{dir: filepath.Join(w.dir, "reporter"), zone: noonZone(time.Now())}
	redis, milter := w.net+".9", w.net+".7:11332"
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	// With all names of top-level domains, it would compile a pattern for half a minute.
	w.write("reporter/tld", "org\nexample\ntest\n")
	r.conf = w.write("reporter/rspamd.conf", strings.NewReplacer("DIR", r.dir, "MILTER", milter, "REDIS", redis,
		"SINK", w.net+".25").Replace(reporterConf))
	w.logs = append(w.logs, filepath.Join(r.dir, "log"))
	w.attend(lab.Redis("--bind", redis, "--port", "6379", "--save", "", "--dir", r.dir))
	awaitListener(w, redis+":6379")
	w.attend(r.command(w, "rspamd", "-f", "-i", "-c", r.conf, "--var=DBDIR="+r.dir, "--var=RUNDIR="+r.dir))
	awaitListener(w, milter)

	started, err := lab.StartPostfix(r.dir+"/postfix", w.command, "smtp inet n - n - - smtpd\n",
		"myhostname = mx.receiver.test", "inet_interfaces = "+address, "mynetworks =",
		"relay_domains = receiver.test", "smtpd_relay_restrictions = reject_unauth_destination",
		"relay_transport = smtp:["+w.net+".25]:25", "smtpd_milters = inet:"+milter, "milter_protocol = 6")
	if err != nil {
		w.t.Fatal(err)
	}
	r.postfix = &postfix{Postfix: started, w: w, addr: address + ":25"}
	w.logs = append(w.logs, started.Log)
	w.t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			w.t.Error(err)
		}
	})
	return r
}

// noonZone is a time zone in which it is the hour after noon now: the tool reports on days of its
// own time, and no test lasts to the next.
func noonZone(now time.Time) string { return fmt.Sprintf("LAB%+d", now.UTC().Hour()-12) }

// command prepares a command that has the reporter's time.
func (r *reporter) command(w *world, name string, args ...string) *exec.Cmd {
	cmd := w.command(name, args...)
	cmd.Env = append(os.Environ(), "TZ="+r.zone)
	return cmd
}

// report has it report on the mail of today, and returns the messages with its reports.
func (r *reporter) report() []lab.Delivery {
	r.w.t.Helper()
	date, err := r.command(r.w, "date", "+%Y%m%d").Output()
	if err != nil {
		r.w.t.Fatal(err)
	}
	report := r.command(r.w, "rspamadm", "dmarc_report", "-v", "-c", r.conf, strings.TrimSpace(string(date)))
	out, err := report.CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 failed") {
		r.w.t.Fatalf("rspamadm dmarc_report: %v\n%s", err, out)
	}
	return r.w.sink.Find("Submitter: receiver.test")
}

// mustTake sends a message some times to the reporter from an address of this host.
func (r *reporter) mustTake(times int, source, from string, message []byte) {
	r.w.t.Helper()
	c, err := r.dialFrom(source)
	if err != nil {
		r.w.t.Fatal(err)
	}
	defer c.Close()
	for range times {
		if _, err := c.send(from, []string{"reader@receiver.test"}, message); err != nil {
			r.w.t.Fatalf("mail from %s: %v", source, err)
		}
	}
}

// attend runs a server, and what it starts itself, until the test ends.
func (w *world) attend(cmd *exec.Cmd) {
	w.t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("%v; hint: make setup", err)
	}
	w.t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
}

func awaitListener(w *world, address string) {
	w.t.Helper()
	await(w.t, "a server at "+address, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// reporterConf has rspamd look at SPF, DKIM and DMARC and at nothing else.
const reporterConf = `
options {
  url_tld = "DIR/tld"; disable_hyperscan = true; filters = "dkim";
  pidfile = "DIR/pid"; tempdir = "DIR"; control_socket = "DIR/control mode=0600";
  history_file = "DIR/history"; stats_file = "DIR/stats"; dynamic_conf = "DIR/dynamic";
  local_addrs = "192.0.2.255";
}
logging { type = "file"; filename = "DIR/log"; level = "info"; }
worker "rspamd_proxy" {
  bind_socket = "MILTER"; milter = yes; timeout = 120s; count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
modules {
  path = "/usr/share/rspamd/plugins/spf.lua"; # in Lua since 3.0
  path = "/usr/share/rspamd/plugins/dmarc.lua";
}
actions { reject = 1000; }
dkim { }
spf { }
redis { servers = "REDIS:6379"; }
dmarc {
  reporting {
    enabled = true; email = "dmarc@receiver.test"; domain = "receiver.test"; org_name = "Receiver & Sons";
    smtp = "SINK"; smtp_port = 25; helo = "mx.receiver.test"; msgid_from = "receiver.test";
  }
}
`
