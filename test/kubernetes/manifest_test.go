package kubernetes

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signpost/keystore"
)

const manifests = "../../docker/kubernetes"

type workload struct {
	Spec struct {
		Replicas int
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     Pod
		}
	}
}

type service struct {
	Spec struct {
		ClusterIP                string
		PublishNotReadyAddresses bool
		Selector                 map[string]string
		Ports                    []Port
	}
}

type networkPolicy struct {
	Spec struct {
		PodSelector     struct{ MatchLabels map[string]string }
		PolicyTypes     []string
		Ingress, Egress []struct {
			From, To []networkPeer
			Ports    []struct{ Port any }
		}
	}
}

type networkPeer struct {
	PodSelector struct{ MatchLabels map[string]string }
}

// Signpostd in one pod with boky/postfix, by that image's chart as it is.
func TestSidecar(t *testing.T) {
	t.Parallel()
	chart := cmp.Or(os.Getenv("SIGNPOST_CHART"), "testdata/chart")
	m := Render(t, "", "chart", chart, manifests+"/values.yaml")
	var config struct{ Data map[string]string }
	name := m.Read(t, "v1 ConfigMap", &config)
	var set workload
	m.Read(t, "apps/v1 StatefulSet", &set)
	pod := set.Spec.Template.Spec
	if len(pod.InitContainers) != 1 || len(pod.Containers) != 1 {
		t.Fatalf("init containers %v and containers %v, want one each", pod.InitContainers, pod.Containers)
	}
	signer, postfix := pod.InitContainers[0], pod.Containers[0]

	if signer.RestartPolicy != "Always" {
		t.Errorf("restartPolicy %q: it would run to its end before Postfix starts", signer.RestartPolicy)
	}
	if len(signer.EnvFrom) != 1 || signer.EnvFrom[0].ConfigMapRef.Name != name {
		t.Errorf("its variables are from %v, want ConfigMap %s", signer.EnvFrom, name)
	}
	listens := ""
	for _, env := range signer.Env {
		if env.Name == "SIGNPOST_LISTEN" {
			listens = env.Value
		}
	}
	port, host, _ := strings.Cut(strings.TrimPrefix(listens, "inet:"), "@")
	for parameter, want := range map[string]string{
		"smtpd_milters":         "inet:" + host + ":" + port,
		"non_smtpd_milters":     "inet:" + host + ":" + port,
		"milter_default_action": "tempfail",
	} {
		if got := config.Data["POSTFIX_"+parameter]; got != want {
			t.Errorf("Postfix has %s=%s, and signpostd listens at %s", parameter, got, listens)
		}
	}
	if host != "127.0.0.1" {
		t.Errorf("the milter listens at %q, which is not of this pod alone or not one address", host)
	}
	for _, mount := range postfix.VolumeMounts {
		if mount.Name == "dkim-keys" {
			t.Error("the keys are mounted into Postfix, whose own signer would start")
		}
	}
	if pod.TerminationGracePeriodSeconds < 30 {
		t.Errorf("%d seconds to stop", pod.TerminationGracePeriodSeconds)
	}
	wellKept(t, m, pod, signer)
}

// One signer for many Postfixes.
func TestBase(t *testing.T) {
	t.Parallel()
	checkBase(t, Render(t, "", "kustomize", manifests+"/base"))
}

func checkBase(t *testing.T, m Manifest) Pod {
	t.Helper()
	var deployment workload
	m.Read(t, "apps/v1 Deployment", &deployment)
	template := deployment.Spec.Template
	if deployment.Spec.Replicas != 2 {
		t.Errorf("%d replicas", deployment.Spec.Replicas)
	}
	signer := template.Spec.Containers[0]
	wellKept(t, m, template.Spec, signer)

	selects := func(what string, labels map[string]string) {
		t.Helper()
		for label, value := range labels {
			if template.Metadata.Labels[label] != value {
				t.Errorf("%s: pods have no label %s=%s", what, label, value)
			}
		}
		if len(labels) == 0 {
			t.Errorf("%s selects every pod", what)
		}
	}
	var dkim, nodes service
	m.Read(t, "v1 Service dkim", &dkim) // others set variables that boky/postfix takes for settings
	name := m.Read(t, "v1 Service signpostd", &nodes)
	for _, service := range []service{dkim, nodes} {
		selects("Service", service.Spec.Selector)
		for _, port := range service.Spec.Ports {
			if number(signer, port.TargetPort) != port.Port {
				t.Errorf("a Service has port %v, and the container %v", port, signer.Ports)
			}
		}
	}
	if nodes.Spec.ClusterIP != "None" || !nodes.Spec.PublishNotReadyAddresses {
		t.Errorf("the Service of the nodes is %+v: one address for all, or none at the start", nodes.Spec)
	}
	if !slices.ContainsFunc(signer.Env, func(env Variable) bool {
		return env.Name == "SIGNPOST_PEERS" && env.Value == name
	}) {
		t.Errorf("SIGNPOST_PEERS is not %s in %v", name, signer.Env)
	}
	var budget struct {
		Spec struct {
			MinAvailable int
			Selector     struct{ MatchLabels map[string]string }
		}
	}
	m.Read(t, "policy/v1 PodDisruptionBudget", &budget)
	selects("PodDisruptionBudget", budget.Spec.Selector.MatchLabels)
	if budget.Spec.MinAvailable != 1 {
		t.Errorf("minAvailable %d of 2", budget.Spec.MinAvailable)
	}
	var policy networkPolicy
	m.Read(t, "networking.k8s.io/v1 NetworkPolicy", &policy)
	selects("NetworkPolicy", policy.Spec.PodSelector.MatchLabels)
	checkNetwork(t, policy, template.Metadata.Labels)
	return template.Spec
}

// checkNetwork checks that only pods with the label reach the milter, and only DNS servers and
// the other nodes, with the labels own, are reached.
func checkNetwork(t *testing.T, policy networkPolicy, own map[string]string) {
	t.Helper()
	if !slices.Equal(policy.Spec.PolicyTypes, []string{"Ingress", "Egress"}) {
		t.Errorf("the NetworkPolicy is for %v", policy.Spec.PolicyTypes)
	}
	isNode := func(p networkPeer) bool { return maps.Equal(p.PodSelector.MatchLabels, own) }
	nodes := map[string]bool{}
	for _, rule := range policy.Spec.Ingress {
		if len(rule.From) == 0 || len(rule.Ports) == 0 {
			t.Error("everybody may reach a port, or somebody all of them")
		}
		for _, port := range rule.Ports {
			if slices.ContainsFunc(rule.From, isNode) && port.Port == "http" {
				nodes["from"] = true
			}
		}
	}
	for _, rule := range policy.Spec.Egress {
		for _, port := range rule.Ports {
			switch {
			case len(rule.To) == 1 && isNode(rule.To[0]) && port.Port == 8890.0:
				nodes["to"] = true
			case port.Port != 53.0:
				t.Errorf("egress to port %v of %v", port.Port, rule.To)
			}
		}
	}
	if !nodes["from"] || !nodes["to"] {
		t.Errorf("the nodes do not reach each other: %v", nodes)
	}
}

// wellKept checks what every container of signpostd must have.
func wellKept(t *testing.T, m Manifest, pod Pod, c Container) {
	t.Helper()
	if offences := m.Restricted(t, c.Name); offences != "" {
		t.Errorf("%s is not allowed in a restricted namespace: %s", c.Name, offences)
	}
	if !c.SecurityContext.ReadOnlyRootFilesystem || pod.SecurityContext.FSGroup != nil {
		t.Errorf("its root file system can be written, or fsGroup changes the modes of keys: %+v", pod.SecurityContext)
	}
	volumes := make(map[string]Volume)
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = volume
	}
	for _, mount := range c.VolumeMounts {
		volume, ok := volumes[mount.Name]
		switch {
		case !ok:
			t.Errorf("there is no volume %s", mount.Name)
		case mount.Name == "dkim-keys" && mount.MountPath != "/etc/opendkim/keys":
			t.Errorf("the keys are in %s", mount.MountPath)
		case volume.Secret != nil && (volume.Secret.DefaultMode != 0o444 || !mount.ReadOnly),
			volume.Projected != nil && (volume.Projected.DefaultMode != 0o444 || !mount.ReadOnly):
			t.Errorf("the keys in %s cannot be read by user 65532, or be written", mount.Name)
		}
	}
	for probe, path := range map[*Probe]string{
		&c.StartupProbe: "/readyz", &c.ReadinessProbe: "/readyz", &c.LivenessProbe: "/healthz",
	} {
		// Of the image.
		if probe.HTTPGet.Path != path || number(c, probe.HTTPGet.Port) != 8890 {
			t.Errorf("probe %+v, want %s of port 8890", probe.HTTPGet, path)
		}
	}
	if c.Resources.Limits["memory"] == "" {
		t.Error("no limit to its memory")
	}
}

// number returns the number of a port of a container by its name.
func number(c Container, name string) int {
	for _, port := range c.Ports {
		if port.Name == name {
			return port.ContainerPort
		}
	}
	return 0
}

// dkim-manager puts each key into a Secret of its own, so one folder has several.
func TestKeyManager(t *testing.T) {
	t.Parallel()
	m := Render(t, "", "kustomize", manifests+"/dkim-manager")
	pod := checkBase(t, m)
	var key struct {
		Spec struct{ SecretName, Domain, Selector string }
	}
	m.Read(t, "dkim-manager.atelierhsn.com/v1 DKIMKey", &key)
	i := slices.IndexFunc(pod.Volumes, func(v Volume) bool { return v.Name == "dkim-keys" })
	if i < 0 || pod.Volumes[i].Secret != nil || pod.Volumes[i].Projected == nil {
		t.Fatalf("the volumes are %+v", pod.Volumes)
	}
	if got := pod.Volumes[i].Projected.Sources[0].Secret.Name; got != key.Spec.SecretName {
		t.Errorf("the Secret %s is mounted, and that of the DKIMKey is %s", got, key.Spec.SecretName)
	}

	// The name and the form that it gives to keys, since its first version: RSA as PKCS#1.
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	dir := t.TempDir()
	if err := Mount(dir, map[string][]byte{
		key.Spec.Domain + "." + key.Spec.Selector + ".key": pem.EncodeToMemory(&block),
	}); err != nil {
		t.Fatal(err)
	}
	snapshot, err := keystore.Load(keystore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	keys := snapshot.Keys(key.Spec.Domain)
	if len(keys) != 1 || keys[0].Selector != key.Spec.Selector || len(snapshot.Problems()) > 0 {
		t.Errorf("the keys are %+v, and wrong is %v", keys, snapshot.Problems())
	}
}

// What the README says to put into a kustomization of one's own.
func TestReadmeKustomization(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(manifests + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(apiVersion: kustomize[^`]*)```").FindAllSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d kustomizations in README.md", len(blocks))
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "base"), os.DirFS(manifests+"/base")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), blocks[0][1], 0o644); err != nil {
		t.Fatal(err)
	}
	m := Render(t, "", "kustomize", dir)
	c := checkBase(t, m).Containers[0]
	var config struct{ Data map[string]string }
	name := m.Read(t, "v1 ConfigMap", &config)
	if c.Image == "signpost" || config.Data["SIGNPOST_DOMAINS"] == "" ||
		len(c.EnvFrom) != 1 || c.EnvFrom[0].ConfigMapRef.Name != name {
		t.Errorf("image %s, variables from %v, and %s has %v", c.Image, c.EnvFrom, name, config.Data)
	}
}

// The API server would refuse what render refuses.
func TestRenderIsStrict(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: [{port: 8891}]}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {Ports: [{port: 8891}]}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: x}]}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a.key: YQ==}\ndata: {}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a.key: \"no base64\"}",
	} {
		c := exec.Command("go", "run", "-C", "render", ".", "manifest")
		c.Stdin = strings.NewReader(wrong)
		if out, err := c.CombinedOutput(); err == nil {
			t.Errorf("accepted:\n%s\n%s", wrong, out)
		}
	}
}
