package compose_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/test/lab"
)

// patience bounds every wait. It is for broken software on a busy machine, not a measure.
const patience = 2 * time.Minute

// A project is a compose file as its user has it: alone in a folder, with a .env beside it.
type project struct {
	engine
	t    *testing.T
	name string
	dir  string
	env  []string // beside what .env says, and stronger
}

// newProject copies the compose file to a folder of its own. Everything that
// comes of it is gone after the test.
func newProject(t *testing.T, file string, env ...string) *project {
	t.Helper()
	found, err := findEngine()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "docker", file))
	if err != nil {
		t.Fatal(err)
	}
	p := &project{engine: found, t: t, dir: t.TempDir()}
	p.name = fmt.Sprintf("signpost-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	p.write("compose.yaml", string(content))
	// Port 0: the engine chooses one that is free.
	p.write(".env", strings.Join(append(env, "SMTP_PORT=0", "STATUS_PORT=0"), "\n")+"\n")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := p.composeCommand("logs", "--no-color", "--tail=60").CombinedOutput()
			t.Logf("logs:\n%s", out)
		}
		p.compose("down", "--volumes", "--remove-orphans", "--timeout", "20")
		// The engine made this folder, as root.
		p.docker("run", "--rm", "--network", "none", "-v", p.dir+":/dir", "--entrypoint", "rm", "signpost-postfix", "-rf", "/dir/opendkim-keys")
	})
	return p
}

func (p *project) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = p.dir
	c.Env = append(append(os.Environ(), "COMPOSE_PROJECT_NAME="+p.name), p.env...)
	return c
}

// output returns what the command prints, and ends the test when it fails.
func (p *project) output(c *exec.Cmd) string {
	p.t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (p *project) docker(args ...string) string {
	p.t.Helper()
	return p.output(p.command(p.engine.docker, args...))
}

func (p *project) compose(args ...string) string {
	p.t.Helper()
	return p.output(p.composeCommand(args...))
}

func (p *project) composeCommand(args ...string) *exec.Cmd {
	return p.command(p.engine.compose[0], append(p.engine.compose[1:], args...)...)
}

// container returns the id of the container that runs a service, or ran it.
func (p *project) container(service string) string {
	p.t.Helper()
	id := p.docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name,
		"--filter", "label=com.docker.compose.service="+service)
	if id == "" || strings.ContainsRune(id, '\n') {
		p.t.Fatalf("service %s has containers %q, want one", service, id)
	}
	return id
}

// inspect evaluates a template of docker inspect.
func (p *project) inspect(container, template string) string {
	p.t.Helper()
	return p.docker("inspect", "-f", template, container)
}

// probe gives the arguments of a container that runs test/probe inside the project's network.
func (p *project) probe(args ...string) []string {
	p.t.Helper()
	program, err := filepath.Abs("../../build/probe")
	if err != nil {
		p.t.Fatal(err)
	}
	return append([]string{
		"--network", p.name + "_default", "--user", "0:0",
		"-v", program + ":/probe:ro", "-v", p.dir + "/opendkim-keys:/keys:ro",
		"--entrypoint", "/probe", "signpost", "--keys", "/keys", "--timeout", patience.String(),
	}, args...)
}

// mustSign sends from each domain inside the network and fails unless all comes out signed.
func (p *project) mustSign(args ...string) {
	p.t.Helper()
	p.docker(append([]string{"run", "--rm"}, p.probe(append([]string{"--submit", "mail:587"}, args...)...)...)...)
}

// until waits for something that has no event to wait for.
func (p *project) until(what string, ok func() bool) {
	p.t.Helper()
	if !lab.Wait(patience, ok) {
		p.t.Fatalf("waited %v in vain: %s", patience, what)
	}
}

// smtpPort waits until Postfix greets at the published port, and returns the port.
func (p *project) smtpPort() string {
	p.t.Helper()
	address := p.compose("port", "mail", "587")
	p.until("Postfix greets at "+address, func() bool {
		// The engine accepts connections before Postfix does.
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		greeting, _ := bufio.NewReader(conn).ReadString('\n')
		return strings.HasPrefix(greeting, "220 ")
	})
	return address[strings.LastIndexByte(address, ':')+1:]
}
