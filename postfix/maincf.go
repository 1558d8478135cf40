// Package postfix reads, expands, edits and writes the configuration of Postfix:
// main.cf, master.cf and the maps that main.cf names.
package postfix

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// Marks in main.cf. Our settings stand in a block of their own, and a setting
// of the same name elsewhere in the file becomes a comment that starts with
// displacedMark. A later setting would win anyhow, but Postfix warns of each
// duplicate, and a reader would have to know that the last one counts. Kept as
// a marked comment the old setting comes back when ours is no longer wanted,
// which it could not if we had written over it.
const (
	blockBegin    = "# signpost: begin"
	blockEnd      = "# signpost: end"
	displacedMark = "#signpost# "
	blockNote     = blockBegin + " (written by `signpost postfix write`; to change something set POSTFIX_<parameter>)\n"
)

// MainCF is the content of a main.cf. The zero value is an empty file.
type MainCF struct {
	lines []string
}

// ParseMain reads the content of main.cf. path is only used in errors. It
// refuses what Postfix refuses, a logical line that is not "name = value", and
// NUL bytes, after which Postfix does not read on.
func ParseMain(path string, data []byte) (*MainCF, error) {
	file := &MainCF{lines: splitLines(string(data))}
	for _, s := range statements(file.lines) {
		if _, _, err := nameValue(s.text); err != nil {
			// The text itself is not shown: it may hold a password.
			return nil, finding.WithHint(fmt.Errorf("%s: line %d: %w", path, s.lines[0]+1, err),
				"write \"name = value\", a comment starts with #")
		}
	}
	if err := file.checkBlock(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// nameValue splits a logical line as split_nameval() of Postfix does.
func nameValue(text string) (name, value string, err error) {
	if strings.IndexByte(text, 0) >= 0 {
		return "", "", fmt.Errorf("there is a NUL byte in it")
	}
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return "", "", fmt.Errorf("missing '=' after the parameter name")
	}
	name = TrimSpace(name)
	if name == "" {
		return "", "", fmt.Errorf("missing parameter name before '='")
	}
	if strings.ContainsAny(name, " \t\n\v\f\r") {
		return "", "", fmt.Errorf("missing '=' after the parameter name")
	}
	return name, TrimSpace(value), nil
}

// checkBlock makes sure that our marks stand as we write them, and that what
// they hide or separate is sound once they are gone.
func (f *MainCF) checkBlock() error {
	if _, _, _, err := f.block(); err != nil {
		return err
	}
	base, at := f.base()
	for _, line := range base.lines[at:] {
		if isComment(line) {
			continue
		}
		if isSpace(line[0]) {
			return finding.WithHint(
				fmt.Errorf("the line after %q starts with white space and would continue a setting of ours", blockEnd),
				"start it in the first column")
		}
		break
	}
	for _, s := range statements(base.lines) {
		if _, _, err := nameValue(s.text); err != nil {
			return finding.WithHint(fmt.Errorf("a line marked %q is not a setting: %w", TrimSpace(displacedMark), err),
				"remove the line")
		}
	}
	return nil
}

// block finds the lines of our block: begin is its first line, end the line
// after its last one.
func (f *MainCF) block() (begin, end int, found bool, err error) {
	begin, end = -1, -1
	for i, line := range f.lines {
		switch {
		case strings.HasPrefix(line, blockBegin) && begin < 0:
			begin = i
		case strings.HasPrefix(line, blockBegin):
			return 0, 0, false, finding.WithHint(fmt.Errorf("line %d: second %q", i+1, blockBegin),
				"remove one of the two blocks")
		case strings.HasPrefix(line, blockEnd) && (begin < 0 || end >= 0):
			return 0, 0, false, finding.WithHint(fmt.Errorf("line %d: %q without a begin", i+1, blockEnd),
				"remove the line")
		case strings.HasPrefix(line, blockEnd):
			end = i + 1
		}
	}
	if begin >= 0 && end < 0 {
		return 0, 0, false, finding.WithHint(fmt.Errorf("line %d: %q without an end", begin+1, blockBegin),
			"add a line %q after the block", blockEnd)
	}
	return begin, end, begin >= 0, nil
}

// Bytes returns the file, byte for byte as it was read where it was not edited.
func (f *MainCF) Bytes() []byte {
	return []byte(strings.Join(f.lines, ""))
}

// Get returns the value in force: that of the last setting of the name. Text
// such as $name is left as it stands.
func (f *MainCF) Get(name string) (value string, ok bool) {
	for _, s := range statements(f.lines) {
		if n, v, err := nameValue(s.text); err == nil && n == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// Base returns the file as it is without us: our block gone, the settings that
// we displaced back in force.
func (f *MainCF) Base() *MainCF {
	base, _ := f.base()
	return base
}

// base also returns where our block stood, as a line of the result; the end of
// the file when there is none.
func (f *MainCF) base() (*MainCF, int) {
	begin, end, found, _ := f.block() // checked when the file was parsed
	if !found {
		begin, end = len(f.lines), len(f.lines)
	} else if begin > 0 && f.lines[begin-1] == "\n" {
		begin-- // the blank line that With puts before the block
	}
	var lines []string
	for _, line := range append(f.lines[:begin:begin], f.lines[end:]...) {
		if was, ok := strings.CutPrefix(line, displacedMark); ok && !isComment(was) {
			line = was
		}
		lines = append(lines, line)
	}
	return &MainCF{lines: lines}, begin
}

// With returns the file with these settings in our block and in place of all
// that was there before. Everything that is not ours stays as it is, except
// that a setting of the same name becomes a comment, and that a missing newline
// at the end of the file is added. Names and values are expected to be checked.
func (f *MainCF) With(settings []Parameter) *MainCF {
	base, at := f.base()
	ours := make(map[string]bool)
	for _, s := range settings {
		ours[s.Name] = true
	}
	lines := base.lines
	for _, s := range statements(lines) {
		if name, _, err := nameValue(s.text); err == nil && ours[name] {
			for _, i := range s.lines {
				lines[i] = displacedMark + lines[i]
			}
		}
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
		lines[at-1] += "\n"
	}
	var block []string
	if at > 0 {
		block = append(block, "\n")
	}
	block = append(block, blockNote)
	for _, s := range settings {
		if !s.Unset {
			block = append(block, s.Line()+"\n")
		}
	}
	block = append(block, blockEnd+"\n")
	return &MainCF{lines: append(append(lines[:at:at], block...), lines[at:]...)}
}
