// Render makes manifests as Helm and kustomize do, and reads them as the API server does,
// for the tests of docker/kubernetes. It is a module of its own, so that Signpost does not
// depend on Kubernetes.
//
//	render chart FOLDER VALUES...  the templates of a chart with values files
//	render kustomize FOLDER        a kustomization
//	render manifest                from standard input
//
// It prints the objects as JSON, each with what is wrong with it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var text []byte
	var err error
	switch {
	case len(args) >= 2 && args[0] == "chart":
		text, err = renderChart(args[1], args[2:])
	case len(args) == 2 && args[0] == "kustomize":
		text, err = kustomize(args[1])
	case len(args) == 1 && args[0] == "manifest":
		text, err = io.ReadAll(os.Stdin)
	default:
		err = errors.New("usage: render chart|kustomize|manifest")
	}
	if err != nil {
		return err
	}
	objects, err := read(text)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(objects)
}

func kustomize(dir string) ([]byte, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// An object is one of a manifest.
type object struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`
	Object json.RawMessage `json:"object"`
	// Unknown says that its kind is none of Kubernetes itself, as of a custom resource.
	Unknown bool `json:"unknown"`
	// Restricted says how each container, and a pod of it alone, offends against the Pod
	// Security Standard "restricted".
	Restricted map[string]string `json:"restricted"`
}

func read(text []byte) (objects []object, err error) {
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var content any
		if err := yaml.Unmarshal(doc, &content); err == nil && content == nil {
			continue // comments
		}
		o, err := readOne(doc)
		if err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// readOne refuses fields that are not known, or twice there.
func readOne(doc []byte) (o object, err error) {
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return o, err
	}
	o.Kind, o.Name = head.APIVersion+" "+head.Kind, head.Metadata.Name
	var into any
	var spec *core.PodSpec
	switch o.Kind {
	case "apps/v1 Deployment":
		typed := new(apps.Deployment)
		into, spec = typed, &typed.Spec.Template.Spec
	case "apps/v1 StatefulSet":
		typed := new(apps.StatefulSet)
		into, spec = typed, &typed.Spec.Template.Spec
	case "v1 ConfigMap":
		into = new(core.ConfigMap)
	case "v1 Secret":
		into = new(core.Secret)
	case "v1 Service":
		into = new(core.Service)
	case "v1 ServiceAccount":
		into = new(core.ServiceAccount)
	case "networking.k8s.io/v1 NetworkPolicy":
		into = new(networking.NetworkPolicy)
	case "policy/v1 PodDisruptionBudget":
		into = new(disruption.PodDisruptionBudget)
	default:
		o.Unknown = true
		into = new(map[string]any)
	}
	asJSON, err := yaml.YAMLToJSONStrict(doc)
	if err == nil {
		// As the API server reads it: letters of another case make another field.
		var strict []error
		strict, err = kjson.UnmarshalStrict(asJSON, into)
		err = errors.Join(append(strict, err)...)
	}
	if err != nil {
		return o, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err)
	}
	if spec != nil {
		if o.Restricted, err = restricted(*spec); err != nil {
			return o, err
		}
	}
	o.Object, err = json.Marshal(into)
	return o, err
}

// restricted judges each container as if it were alone in its pod.
func restricted(spec core.PodSpec) (map[string]string, error) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	wanted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	found := make(map[string]string)
	for _, container := range append(spec.InitContainers, spec.Containers...) {
		alone := spec
		alone.InitContainers, alone.Containers = nil, []core.Container{container}
		all := policy.AggregateCheckResults(checks.EvaluatePod(wanted, new(meta.ObjectMeta), &alone))
		if found[container.Name] = ""; !all.Allowed {
			found[container.Name] = all.ForbiddenDetail()
		}
	}
	return found, nil
}
