package system

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"signpost/test/lab"
)

// A node is a host with a Postfix and a signpostd of its own. Its files outlive it.
type node struct {
	f    *fleet
	last int // of its address
	dir  string
	log  string // of signpostd

	host *lab.Host
	p    *postfix
}

// addNode starts a node, and lets it have mail.
func (f *fleet) addNode() *node {
	f.t.Helper()
	n := &node{f: f, last: 11 + len(f.nodes)}
	n.p = &postfix{w: f.world, addr: f.network.Address(n.last) + ":587"}
	n.dir = filepath.Join(f.dir, fmt.Sprintf("node%d", n.last))
	n.log = n.dir + ".log"
	for _, dir := range []string{n.dir, n.state()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := os.Chown(n.state(), daemonUser, daemonUser); err != nil {
		f.t.Fatal(err)
	}
	f.logs = append(f.logs, n.log, n.dir+"/postfix/mail.log")
	f.t.Cleanup(func() {
		if n.host != nil {
			n.host.Kill()
		}
		for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
			if found := lab.Lines(n.log, bad); len(found) > 0 {
				content, _ := os.ReadFile(n.log)
				f.t.Errorf("signpostd log has %q\n%s", found[0], content)
				return
			}
		}
	})
	n.start()
	f.mail.use(append(f.nodes, n)...)
	f.nodes = append(f.nodes, n)
	return n
}

func (n *node) state() string { return n.dir + "/state" }

// start boots the host. Postfix starts when signpostd could sign.
func (n *node) start() {
	t := n.f.t
	t.Helper()
	var err error
	if n.host, err = n.f.network.StartHost(n.last, n.f.dir+"/resolv.conf.fleet"); err != nil {
		t.Fatal(err)
	}
	args, env := n.f.store.settings()
	d := n.host.Command("setpriv", append([]string{
		"--reuid", fmt.Sprint(daemonUser), "--regid", fmt.Sprint(daemonUser), "--clear-groups",
		lab.Programs() + "/signpostd", "--listen=inet:127.0.0.1:8891", "--http=:8890", "--state=" + n.state(),
		"--removal-grace=1s", "--rescan=" + fleetRescan.String(), "--domains=" + newDomain, "--dns-rate=200",
	}, args...)...)
	n.launch(d, env)
	url := "http://" + n.host.Address + ":8890"
	await(t, "signpostd to be ready", func() bool {
		response, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	started, err := lab.StartPostfix(n.dir+"/postfix", n.host.Command, "587 inet n - n - - smtpd\n",
		"inet_interfaces = 127.0.0.1, "+n.host.Address,
		"mynetworks = 127.0.0.0/8, 10.0.0.0/8",
		"smtpd_milters = inet:127.0.0.1:8891",
		"smtpd_peername_lookup = no",
		"queue_run_delay = 2s", "minimal_backoff_time = 2s", "maximal_backoff_time = 2s")
	if err != nil {
		t.Fatal(err)
	}
	n.p.Postfix = started
}

// launch starts signpostd, which goes on with the log of the one before.
func (n *node) launch(d *exec.Cmd, env []string) {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.f.t.Fatal(err)
	}
	defer log.Close()
	d.Env = append(os.Environ(), env...)
	d.Stdout, d.Stderr = log, log
	if err := d.Start(); err != nil {
		n.f.t.Fatal(err)
	}
	go d.Wait()
}

// kill ends all that runs on the node, at once.
func (n *node) kill() {
	others := make([]*node, 0, len(n.f.nodes))
	for _, other := range n.f.nodes {
		if other != n {
			others = append(others, other)
		}
	}
	n.host.Kill()
	n.f.mail.use(others...)
}

// back starts a node that was killed.
func (n *node) back() {
	n.f.t.Helper()
	n.start()
	n.f.mail.use(n.f.nodes...)
}

// run runs the companion on the node, with the store's settings.
func (n *node) run(verb string, more ...string) (out []byte, err error) {
	args, env := n.f.store.settings()
	cmd := n.host.Command(lab.Programs()+"/signpost", append(append([]string{verb}, args...), more...)...)
	cmd.Env = append(os.Environ(), env...)
	return cmd.Output()
}

// active returns the selectors that the node signs with, by domain.
func (n *node) active() (map[string]string, error) {
	active, seen := make(map[string]string), make(map[string]bool)
	for page := 1; ; page++ { // after the last page comes the last again
		response, err := http.Get(fmt.Sprintf("http://%s:8890/keys.csv?limit=1000&page=%d", n.host.Address, page))
		if err != nil {
			return nil, err
		}
		rows, err := csv.NewReader(response.Body).ReadAll()
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("keys.csv: %s, %w", response.Status, err)
		}
		column := make(map[string]int)
		for i, name := range rows[0] {
			column[name] = i
		}
		before := len(seen)
		for _, row := range rows[1:] {
			seen[row[column["domain"]]] = true
			if row[column["stage"]] == "active" {
				active[row[column["domain"]]] = row[column["selector"]]
			}
		}
		if len(seen) == before {
			return active, nil
		}
	}
}
