package main

import (
	"bytes"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

// renderChart renders a chart as "helm template" does: Go templates with the functions of
// sprig, and the few that Helm adds. Helm itself would take twice as long to compile as
// all the rest; what it makes of the charts that the values are for is the same.
func renderChart(dir string, files []string) ([]byte, error) {
	values := make(map[string]any)
	for _, file := range append([]string{filepath.Join(dir, "values.yaml")}, files...) {
		if err := readYAML(file, &values); err != nil {
			return nil, err
		}
	}
	var chart struct{ Name, Version, AppVersion string }
	if err := readYAML(filepath.Join(dir, "Chart.yaml"), &chart); err != nil {
		return nil, err
	}
	t, err := parseTemplates(dir)
	if err != nil {
		return nil, err
	}
	data := map[string]any{
		"Values":       values,
		"Chart":        chart,
		"Release":      map[string]any{"Name": "relay", "Namespace": "mail", "Service": "Helm"},
		"Template":     map[string]any{"BasePath": "templates"},
		"Files":        nil,
		"Capabilities": map[string]any{"KubeVersion": map[string]any{"GitVersion": "v1.36.3"}},
	}
	var all bytes.Buffer
	for _, one := range t.Templates() {
		if path.Ext(one.Name()) != ".yaml" {
			continue
		}
		all.WriteString("---\n")
		if err := one.Execute(&all, data); err != nil {
			return nil, err
		}
		all.WriteString("\n")
	}
	return all.Bytes(), nil
}

// readYAML reads a file over what is there: maps are merged, all else is replaced.
func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	values, ok := into.(*map[string]any)
	if !ok {
		return yaml.Unmarshal(text, into)
	}
	var more map[string]any
	err = yaml.Unmarshal(text, &more)
	merge(*values, more)
	return err
}

func merge(values, more map[string]any) {
	for name, value := range more {
		old, both := values[name].(map[string]any)
		if inner, ok := value.(map[string]any); ok && both {
			merge(old, inner)
		} else {
			values[name] = value
		}
	}
}

// parseTemplates reads all templates of a chart, with those for other templates.
func parseTemplates(dir string) (*template.Template, error) {
	t := template.New("").Option("missingkey=zero")
	execute := func(t *template.Template, name string, data any) (string, error) {
		var out strings.Builder
		err := t.ExecuteTemplate(&out, name, data)
		// As Helm has it.
		return strings.ReplaceAll(out.String(), "<no value>", ""), err
	}
	functions := sprig.TxtFuncMap()
	maps.Copy(functions, template.FuncMap{
		"include": func(name string, data any) (string, error) { return execute(t, name, data) },
		"tpl": func(text string, data any) (string, error) {
			inner, err := t.Clone()
			if err == nil {
				inner, err = inner.New("tpl").Parse(text)
			}
			if err != nil {
				return "", err
			}
			return execute(inner, "tpl", data)
		},
		"toYaml": func(v any) (string, error) {
			text, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"fromYamlArray": func(text string) (list []any, err error) {
			return list, yaml.Unmarshal([]byte(text), &list)
		},
	})
	t.Funcs(functions)
	files, err := filepath.Glob(filepath.Join(dir, "templates", "*"))
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			_, err = t.New("templates/" + filepath.Base(file)).Parse(string(text))
		}
		if err != nil {
			return nil, err
		}
	}
	return t, err
}
