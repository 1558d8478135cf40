package postfix

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// A Switch puts one milter in the place of another, wherever main.cf and master.cf
// name it. Other milters keep their places.
type Switch struct {
	Change *Change
	Edits  []LineEdit
	Notes  []string // about what is left as it is
}

// A LineEdit is a line of main.cf or master.cf that has another in its place, both with
// their line ends. By its edits a switch can be taken back later.
type LineEdit struct {
	File string `json:"file"` // without its directory
	Old  string `json:"old"`
	New  string `json:"new"`
}

// ErrNoMilter says that no milter is the one to switch from.
var ErrNoMilter = errors.New("neither main.cf nor master.cf passes mail to it")

// SwitchMilter works out how Postfix, with main.cf and master.cf in dir read as config,
// passes mail to the milter at the address to where it passes it to one at an address
// that is from. It writes nothing. While the new milter is away mail is deferred; if there
// are others, by a setting of its own. It is an error when the result would not be the
// same list of milters for each service but for that.
func SwitchMilter(dir string, config *Config, from func(address string) bool, to string) (*Switch, error) {
	master, main := edit{path: filepath.Join(dir, "master.cf")}, edit{path: filepath.Join(dir, "main.cf")}
	if err := errors.Join(master.read(), main.read()); err != nil {
		return nil, err
	}
	w := &switching{before: config, from: from, to: to, names: milterNames(config)}
	after, err := w.edit(&master, &main)
	if err != nil {
		return nil, err
	}
	s := &Switch{Change: &Change{}, Notes: w.notes(after), Edits: w.edits}
	for _, e := range []edit{master, main} {
		if e.needed() {
			s.Change.files = append(s.Change.files, e)
		}
	}
	return s, nil
}

// edit fills in what the files are to be, and returns what Postfix makes of them.
func (w *switching) edit(master, main *edit) (*Config, error) {
	for _, e := range []*edit{master, main} {
		lines := splitLines(string(e.old))
		changed, name := w.main(lines), "main.cf"
		if e == master {
			changed, name = w.master(lines), "master.cf"
		}
		for i := range lines {
			if lines[i] != changed[i] {
				w.edits = append(w.edits, LineEdit{name, lines[i], changed[i]})
			}
		}
		if e.old != nil {
			e.new = []byte(strings.Join(changed, ""))
		}
	}
	after, err := ParseConfig(w.before.Path, main.new)
	if err == nil {
		err = after.AddMaster(master.path, master.new)
	}
	if err != nil {
		return nil, err
	}
	after.defaults, after.complete = w.before.defaults, w.before.complete
	return after, w.compare(after)
}

// Back works out how to take a switch back by its edits. Whatever else was changed since
// stays.
func Back(dir string, edits []LineEdit) (*Change, error) {
	change := &Change{}
	for _, name := range []string{"master.cf", "main.cf"} {
		e := edit{path: filepath.Join(dir, name)}
		if err := e.read(); err != nil {
			return nil, err
		}
		lines, err := takeBack(name, splitLines(string(e.old)), edits)
		if err != nil {
			return nil, err
		}
		if e.new = []byte(strings.Join(lines, "")); e.needed() {
			change.files = append(change.files, e)
		}
	}
	return change, nil
}

// takeBack returns the lines of a file without the edits that are its own.
func takeBack(name string, lines []string, edits []LineEdit) ([]string, error) {
	at := 0
	for _, edit := range edits {
		if edit.File != name {
			continue
		}
		i := slices.Index(lines[at:], edit.New)
		if i < 0 {
			i = slices.Index(lines[at:], edit.Old) // it was never made, or is taken back
		}
		if i < 0 {
			return nil, finding.WithHint(fmt.Errorf("%s was changed since: the line %q is gone", name,
				TrimSpace(edit.New)), "put there what was in its place: %s", TrimSpace(edit.Old))
		}
		lines[at+i] = edit.Old
		at += i + 1
	}
	return lines, nil
}

// Reverse is the change that takes back what c has written.
func (c *Change) Reverse() *Change {
	back := &Change{}
	for _, e := range c.files {
		if e.written {
			back.files = append(back.files, edit{path: e.path, old: e.new, new: e.old, secret: e.secret})
		}
	}
	return back
}

// MilterAddresses are the addresses of all milters that mail meets, each once.
func (c *Config) MilterAddresses() (addresses []string) {
	for _, s := range c.entrances() {
		for _, m := range c.Milters(s) {
			if address := milterAddress(m); !slices.Contains(addresses, address) {
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}

// entrances are the services by which mail comes in.
func (c *Config) entrances() []Service {
	return slices.Concat(c.Commands("smtpd"), c.Commands("pickup"), c.Commands("qmqpd"))
}

// milterAddress takes the address off a milter with options.
func milterAddress(text string) string {
	if inside, ok := strings.CutPrefix(text, "{"); ok {
		if words := List(inside); len(words) > 0 {
			return strings.TrimSuffix(words[0], "}")
		}
	}
	return text
}

// milterNames are the parameters that hold milters, and those that they refer to.
func milterNames(c *Config) map[string]bool {
	names := map[string]bool{"smtpd_milters": true, "non_smtpd_milters": true}
	refers := regexp.MustCompile(`\$[({]?\s*([A-Za-z0-9_]+)`)
	for grown := true; grown; {
		grown = false
		add := func(name, value string) {
			if !names[name] {
				return
			}
			for _, match := range refers.FindAllStringSubmatch(value, -1) {
				grown = grown || !names[match[1]]
				names[match[1]] = true
			}
		}
		for name, set := range c.settings {
			add(name, set.value)
		}
		for _, s := range c.Services {
			for _, o := range s.Options {
				add(o.Name, o.Value)
			}
		}
	}
	return names
}

// switching is a switch that is being worked out.
type switching struct {
	before *Config
	from   func(address string) bool
	to     string
	names  map[string]bool
	edits  []LineEdit
}

// alone reports whether there is no other milter.
func (w *switching) alone() bool {
	return !slices.ContainsFunc(w.before.MilterAddresses(), func(a string) bool { return !w.from(a) })
}

// defers reports whether mail is deferred while a milter is away, wherever it comes in.
func (w *switching) defers() bool {
	tempfail := func(s Service) bool {
		return strings.EqualFold(w.before.ValueIn(s, "milter_default_action"), "tempfail")
	}
	return !slices.ContainsFunc(append(w.before.entrances(), w.before.Commands("cleanup")...),
		func(s Service) bool { return !tempfail(s) })
}

// ownAction reports whether the new milter needs an action of its own.
func (w *switching) ownAction() bool { return !w.defers() && !w.setsDefault() }

// setsDefault reports whether milter_default_action is changed for all: when there is no
// other milter, and master.cf says nothing else.
func (w *switching) setsDefault() bool {
	own := func(s Service) bool { _, ok := s.option("milter_default_action"); return ok }
	return !w.defers() && w.alone() && w.before.IsSet("milter_default_action") &&
		!slices.ContainsFunc(w.before.Services, own)
}

// main returns the lines of main.cf with the new milter.
func (w *switching) main(lines []string) []string {
	lines = slices.Clone(lines)
	for _, s := range statements(lines) {
		name, _, err := nameValue(s.text)
		switch {
		case err != nil:
		case w.names[name]:
			w.replace(lines, s.lines, ", ")
		case name == "milter_default_action" && w.setsDefault() && len(s.lines) == 1:
			line := lines[s.lines[0]]
			end := line[len(strings.TrimRight(line, "\r\n")):]
			lines[s.lines[0]] = Parameter{Name: name, Value: "tempfail"}.Line() + end
		}
	}
	return lines
}

// master returns the lines of master.cf with the new milter.
func (w *switching) master(lines []string) []string {
	lines = slices.Clone(lines)
	for _, s := range statements(lines) {
		fields := words(s.text)
		if len(fields) < 8 {
			continue
		}
		options, err := parseOptions(fields[8:])
		if err == nil && slices.ContainsFunc(options, func(o Parameter) bool { return w.names[o.Name] }) {
			w.replace(lines, s.lines, ",") // blanks would end the option
		}
	}
	return lines
}

// replace puts the new address in the place of the old one in lines of a statement.
func (w *switching) replace(lines []string, own []int, comma string) {
	level, last := 0, ""
	for _, n := range own {
		line := lines[n]
		var b strings.Builder
		for start := 0; start < len(line); {
			end := start
			for end < len(line) && !strings.ContainsRune(" \t\r\n\v\f,={}", rune(line[end])) {
				end++
			}
			switch word := line[start:end]; {
			case word == "" || !w.from(word):
				b.WriteString(word)
			case level == 0 && w.ownAction():
				space := strings.TrimPrefix(comma, ",")
				b.WriteString("{" + space + w.to + comma + "default_action=tempfail" + space + "}")
			default:
				b.WriteString(w.to)
			}
			if end > start {
				last = line[start:end]
			}
			if end < len(line) {
				switch {
				case line[end] == '{' && last != "-o": // of -o { name = value }
					level++
				case line[end] == '}':
					level = max(0, level-1)
				}
				b.WriteByte(line[end])
			}
			start = end + 1
		}
		lines[n] = b.String()
	}
}

// compare makes sure that each service has the milters it had, in the same order, but for
// the new one.
func (w *switching) compare(after *Config) error {
	changed := false
	now := after.entrances()
	for i, s := range w.before.entrances() {
		had, has := w.before.Milters(s), after.Milters(now[i])
		same := len(had) == len(has)
		if signs := func(m string) bool { return w.from(milterAddress(m)) }; slices.ContainsFunc(had, signs) &&
			slices.ContainsFunc(had, func(m string) bool { return milterAddress(m) == w.to && !signs(m) }) {
			return finding.WithHint(fmt.Errorf("%s passes mail to %s too, and it would be signed twice", s, w.to),
				"take it out of main.cf and master.cf first")
		}
		for k := 0; same && k < len(had); k++ {
			if w.from(milterAddress(had[k])) {
				changed, same = true, milterAddress(has[k]) == w.to
			} else {
				same = had[k] == has[k]
			}
		}
		if !same {
			return finding.WithHint(fmt.Errorf("the milters of %s are %s, and would be %s", s, strings.Join(had, " "),
				strings.Join(has, " ")), "write the address of the milter out in main.cf and master.cf")
		}
	}
	if !changed {
		return ErrNoMilter
	}
	return nil
}

// notes says what of milters is left as it is.
func (w *switching) notes(after *Config) (notes []string) {
	for _, s := range after.entrances() {
		for _, m := range after.Milters(s) {
			if milterAddress(m) == w.to && after.milterAction(s, m) == "accept" {
				notes = append(notes, fmt.Sprintf("%s: %s sends mail unsigned while signpostd is away", s, m))
			}
		}
		if after.Value("smtpd_milter_maps") != "" && s.Command == "smtpd" {
			notes = append(notes, "smtpd_milter_maps is set: what it says of single clients stays as it is")
			break
		}
	}
	if after.Value("non_smtpd_milters") == "" {
		notes = append(notes, "non_smtpd_milters is not set: mail from cron, PHP and sendmail(1) is signed by "+
			"nobody, now as before")
	}
	if others := after.Value("multi_instance_directories"); others != "" {
		notes = append(notes, "the instances of Postfix in "+others+" are not switched: "+
			"name each that OpenDKIM signs for with --config-dir, before OpenDKIM is stopped")
	}
	return notes
}

// milterAction is what becomes of mail of a service while one of its milters is away.
func (c *Config) milterAction(s Service, m string) string {
	inside, _ := strings.CutPrefix(m, "{")
	for _, word := range List(strings.TrimSuffix(inside, "}")) {
		if action, ok := strings.CutPrefix(word, "default_action="); ok {
			return strings.ToLower(action)
		}
	}
	if s.Command == "pickup" {
		s = c.cleanupOf(s)
	}
	return strings.ToLower(c.ValueIn(s, "milter_default_action"))
}
