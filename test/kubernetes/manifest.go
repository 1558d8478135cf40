// Package kubernetes reads the manifests of docker/kubernetes as Kubernetes does, for
// their tests.
package kubernetes

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Manifest is what test/kubernetes/render made. Every object was read strictly: it has
// no unknown field, and none twice.
type Manifest []Object

// Object is one of a manifest.
type Object struct {
	Kind       string // with its version, as "apps/v1 Deployment"
	Name       string
	Object     json.RawMessage
	Unknown    bool              // none of Kubernetes itself
	Restricted map[string]string // offences of containers against the standard "restricted"
}

// Pod is what the tests look at in the specification of a pod.
type Pod struct {
	InitContainers, Containers    []Container
	TerminationGracePeriodSeconds int
	Volumes                       []Volume
	SecurityContext               SecurityContext
}

// Volume is a Secret, several of them, or an empty folder.
type Volume struct {
	Name   string
	Secret *struct {
		SecretName  string
		DefaultMode os.FileMode
	}
	Projected *struct {
		DefaultMode os.FileMode
		Sources     []struct {
			Secret struct {
				Name     string
				Optional bool
			}
		}
	}
	EmptyDir *struct{}
}

// Container is a container of a pod.
type Container struct {
	Name, Image, RestartPolicy                  string
	Env                                         []Variable
	EnvFrom                                     []struct{ ConfigMapRef struct{ Name string } }
	Ports                                       []Port
	StartupProbe, ReadinessProbe, LivenessProbe Probe
	Resources                                   struct{ Limits map[string]string }
	SecurityContext                             SecurityContext
	VolumeMounts                                []struct {
		Name, MountPath string
		ReadOnly        bool
	}
}

// Variable is one of the environment.
type Variable struct{ Name, Value string }

// Port is a port of a container or a Service.
type Port struct {
	Name                string
	ContainerPort, Port int
	TargetPort          string
}

// Probe asks by HTTP.
type Probe struct{ HTTPGet struct{ Path, Port string } }

// SecurityContext is that of a pod or a container.
type SecurityContext struct {
	RunAsUser, RunAsGroup    *int
	FSGroup                  *int
	ReadOnlyRootFilesystem   bool
	AllowPrivilegeEscalation *bool
	Capabilities             struct{ Drop []string }
}

// Render runs test/kubernetes/render with these arguments, in the folder of the test.
func Render(t testing.TB, input string, args ...string) Manifest {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for i, arg := range args {
		if strings.Contains(arg, "/") {
			args[i] = filepath.Join(dir, arg)
			if filepath.IsAbs(arg) {
				args[i] = arg
			}
		}
	}
	c := exec.Command("go", append([]string{"run", "-C", filepath.Join(dir, "../kubernetes/render"), "."}, args...)...)
	c.Stdin = strings.NewReader(input)
	var problems bytes.Buffer
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		t.Fatalf("render %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	var m Manifest
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// Read reads the one object of a kind, such as "v1 Secret", and returns its name. Where there
// are several, the kind has the name behind it, as "v1 Service dkim".
func (m Manifest) Read(t testing.TB, kind string, into any) string {
	t.Helper()
	var found []Object
	for _, o := range m {
		if o.Kind == kind || o.Kind+" "+o.Name == kind {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s, want one", len(found), kind)
	}
	if err := json.Unmarshal(found[0].Object, into); err != nil {
		t.Fatal(err)
	}
	return found[0].Name
}

// Restricted returns how a container of a Deployment or StatefulSet offends against the Pod
// Security Standard "restricted", where that is not at all "".
func (m Manifest) Restricted(t testing.TB, container string) string {
	t.Helper()
	for _, o := range m {
		if offences, ok := o.Restricted[container]; ok {
			return offences
		}
	}
	t.Fatalf("there is no container %s", container)
	return ""
}
