package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// rspamd reads dkim_signing.conf, or the directory of rspamd's configuration.
func (r *reader) rspamd(name string, dir bool) error {
	signing, others := &uclObject{}, &uclObject{}
	if !dir {
		if err := r.rspamdFile(name, "dkim_signing", signing, 0); err != nil {
			return err
		}
		r.rspamdSettings(signing, others)
		return nil
	}
	found, err := r.rspamdLayers(name, "dkim_signing", "dkim_signing.conf", signing)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%s has no dkim_signing.conf in modules.d, local.d or override.d", name)
	}
	// These have two settings that matter here; what else they have does not.
	for section, file := range map[string]string{"dkim": "dkim.conf", "options": "options.inc"} {
		if _, err := r.rspamdLayers(name, section, file, others); err != nil {
			r.fault("import-include", Place{File: name}, err, "what is in it is not carried over")
		}
	}
	r.rspamdSettings(signing, others)
	return nil
}

// rspamdLayers reads a section of the configuration: local.d adds to what the
// package has, and override.d has the last word.
func (r *reader) rspamdLayers(dir, section, file string, settings *uclObject) (found bool, err error) {
	for _, part := range []string{"modules.d", "local.d", "override.d"} {
		layer := &uclObject{}
		err := r.rspamdFile(filepath.Join(dir, part, file), section, layer, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return found, err
		}
		found = true
		for _, m := range layer.members {
			if part == "override.d" {
				// It replaces whole sections.
				settings.members = slices.DeleteFunc(settings.members,
					func(have uclMember) bool { return strings.EqualFold(have.name, m.name) })
			}
			settings.add(m.name, m.value)
		}
	}
	return found, nil
}

// rspamdFile reads a file and what it includes. The section that a whole
// configuration has around the settings is taken off.
func (r *reader) rspamdFile(file, section string, into *uclObject, depth int) error {
	data, _, err := r.read(file, maxConfig)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	parser := uclParser{file: file, text: string(data)}
	parser.macro = func(at Place, name, args, text string, inner *uclObject) error {
		return r.rspamdMacro(at, section, name, args, text, inner, depth)
	}
	root, err := parser.parse()
	if err != nil {
		return err
	}
	for _, m := range root.members {
		if strings.EqualFold(m.name, section) && m.value.kind == uclSection {
			for _, inner := range m.value.object.members {
				into.add(inner.name, inner.value)
			}
			continue
		}
		into.add(m.name, m.value)
	}
	return nil
}

// rspamdMacro follows an include of a file. Those of the package's own file
// are the layers, which are read by themselves.
func (r *reader) rspamdMacro(at Place, section, name, args, text string, into *uclObject, depth int) error {
	file := rspamdVariables(text)
	try := strings.Contains(args, "try=true") || name == "try_include"
	switch {
	case name != "include" && name != "try_include" && name != "includes":
		r.report(finding.Warning, "import-include", at, fmt.Sprintf(".%s is not known here", name),
			"what it does is left out", "")
		return nil
	case filepath.Base(filepath.Dir(at.File)) == "modules.d" && path.Base(file) == filepath.Base(at.File):
		return nil
	case strings.Contains(file, "://"), strings.ContainsAny(file, "*?["):
		r.report(finding.Fault, "import-include", at, fmt.Sprintf("what %s includes is not read", text),
			"the keys that it names are not carried over", "")
		return nil
	case depth == 5:
		r.report(finding.Fault, "import-include", at, "files are included more than five deep",
			"what is in "+text+" is not carried over", "")
		return nil
	}
	err := r.rspamdFile(r.path(file), section, into, depth+1)
	if err != nil && !(try && errors.Is(err, fs.ErrNotExist)) {
		r.report(finding.Fault, "import-include", at, fmt.Sprintf("include of %s: %v", text, err),
			"what is in it is not carried over", "")
	}
	return nil
}

// rspamdVariables puts in what rspamd calls its directories.
func rspamdVariables(text string) string {
	for name, value := range map[string]string{"DBDIR": "/var/lib/rspamd", "CONFDIR": "/etc/rspamd",
		"LOCAL_CONFDIR": "/etc/rspamd"} {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
		text = strings.ReplaceAll(text, "$"+name+"/", value+"/")
	}
	return text
}
