package compose_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"signpost/test/kubernetes"
)

// The pod that the values for boky/postfix's chart make, run as a kubelet does: first the
// sidecar, locked in as its securityContext says, then Postfix in the same network, when the
// startup probe says so. SIGNPOST_POSTFIX=IMAGE runs that in place of our own image.
func TestPod(t *testing.T) {
	t.Parallel()
	found, err := findEngine()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{engine: found, t: t, dir: t.TempDir(), name: fmt.Sprintf("signpost-pod-%d", os.Getpid())}
	chart := cmp.Or(os.Getenv("SIGNPOST_CHART"), "../kubernetes/testdata/chart")
	manifest := kubernetes.Render(t, "", "chart", chart, "../../docker/kubernetes/values.yaml")
	var config struct{ Data map[string]string }
	manifest.Read(t, "v1 ConfigMap", &config)
	var set struct {
		Spec struct{ Template struct{ Spec kubernetes.Pod } }
	}
	manifest.Read(t, "apps/v1 StatefulSet", &set)
	pod := set.Spec.Template.Spec

	keys, mounted := filepath.Join(p.dir, "keys"), filepath.Join(p.dir, "mounted")
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	makeKey := func(domain string) {
		program, err := filepath.Abs("../../bin/signpost")
		if err != nil {
			t.Fatal(err)
		}
		printed, err := p.command(program, "keygen", "--keys", keys, "--mkdir", "--flat", "--as", "kubernetes", domain).Output()
		if err != nil {
			t.Fatal(err)
		}
		var secret struct{ Data map[string][]byte }
		kubernetes.Render(t, string(printed), "manifest").Read(t, "v1 Secret", &secret)
		if err := kubernetes.Mount(mounted, secret.Data); err != nil {
			t.Fatal(err)
		}
	}
	makeKey("example.org")

	began := time.Now()
	sidecar := startContainer(p, pod.InitContainers[0], pod, config.Data, mounted, "signpost", "bridge")
	address := p.inspect(sidecar, "{{.NetworkSettings.IPAddress}}")
	probe := func(probe kubernetes.Probe) (int, string) {
		// The port has a name.
		port := 0
		for _, one := range pod.InitContainers[0].Ports {
			if one.Name == probe.HTTPGet.Port {
				port = one.ContainerPort
			}
		}
		response, err := http.Get("http://" + address + ":" + strconv.Itoa(port) + probe.HTTPGet.Path)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return 0, err.Error()
		}
		return response.StatusCode, string(body)
	}
	p.until("the startup probe succeeds", func() bool {
		code, _ := probe(pod.InitContainers[0].StartupProbe)
		return code == http.StatusOK
	})
	postfix := startContainer(p, pod.Containers[0], pod, config.Data, mounted,
		cmp.Or(os.Getenv("SIGNPOST_POSTFIX"), "signpost-postfix"), "container:"+sidecar)
	tool, err := filepath.Abs("../../build/probe")
	if err != nil {
		t.Fatal(err)
	}
	p.docker("run", "--rm", "--user", "0:0", "-v", tool+":/probe:ro", "-v", keys+":/keys:ro", "--entrypoint", "/probe",
		"signpost", "--keys", "/keys", "--timeout", patience.String(), "--submit", address+":587", "example.org")
	t.Logf("first signed mail after %v", time.Since(began).Round(time.Millisecond))

	for _, one := range []kubernetes.Probe{pod.InitContainers[0].ReadinessProbe, pod.InitContainers[0].LivenessProbe} {
		if code, body := probe(one); code != http.StatusOK {
			t.Errorf("probe %s: %d %s", one.HTTPGet.Path, code, body)
		}
	}
	for line := range strings.Lines(p.docker("logs", sidecar)) {
		// Nothing is published here. All else would be wrong with the values.
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "the signing key is not published") {
			t.Errorf("signpostd logs: %s", line)
		}
	}
	// Another key in the Secret, without a restart.
	makeKey("example.net")
	p.until("the new key is in use", func() bool {
		return strings.Contains(p.docker("logs", sidecar), `msg="key added" domain=example.net`)
	})
	t.Logf("memory: %s", p.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", sidecar))

	// As the kubelet stops a pod: the sidecar comes last.
	for _, id := range []string{postfix, sidecar} {
		p.docker("stop", "--time", strconv.Itoa(pod.TerminationGracePeriodSeconds), id)
	}
	if code := p.inspect(sidecar, "{{.State.ExitCode}}"); code != "0" {
		t.Errorf("signpostd ended with exit code %s", code)
	}
}

// startContainer starts a container of a pod until the test ends.
func startContainer(
	p *project, c kubernetes.Container, pod kubernetes.Pod, config map[string]string, secret, image, network string,
) string {
	p.t.Helper()
	args := []string{"run", "-d", "--network", network}
	if len(c.EnvFrom) > 0 {
		for name, value := range config {
			args = append(args, "-e", name+"="+value)
		}
	}
	for _, env := range c.Env {
		args = append(args, "-e", env.Name+"="+env.Value)
	}
	security := c.SecurityContext
	if security.RunAsUser != nil {
		args = append(args, "--user", fmt.Sprintf("%d:%d", *security.RunAsUser, *security.RunAsGroup))
	}
	if security.ReadOnlyRootFilesystem {
		args = append(args, "--read-only")
	}
	if security.AllowPrivilegeEscalation != nil && !*security.AllowPrivilegeEscalation {
		args = append(args, "--security-opt", "no-new-privileges")
	}
	for _, capability := range security.Capabilities.Drop {
		args = append(args, "--cap-drop", capability)
	}
	if limit := c.Resources.Limits["memory"]; limit != "" {
		args = append(args, "--memory", strings.TrimSuffix(limit, "i"))
	}
	for _, mount := range c.VolumeMounts {
		for _, volume := range pod.Volumes {
			switch {
			case volume.Name != mount.Name:
			case volume.Secret != nil:
				args = append(args, "-v", secret+":"+mount.MountPath+":ro")
			default: // empty, and every user may write to it
				args = append(args, "--tmpfs", mount.MountPath+":mode=0777")
			}
		}
	}
	id := p.docker(append(args, image)...)
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("%s:\n%s", image, p.docker("logs", id))
		}
		p.docker("rm", "-f", "-v", id)
	})
	return id
}
