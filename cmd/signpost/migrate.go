package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/postfix"
)

func migrateCommand() *cli.Command {
	keys, milter := settings.Named("keys"), settings.Named("milter")
	keys.Default = "/etc/signpost/keys"
	keys.Usage = "copy the keys to `DIRECTORY`, where signpostd reads them"
	milter.Default = ""
	milter.Usage = "signpostd listens at `ADDRESS`, as it is to be in main.cf; default " + unitMilter +
		", where its systemd socket is installed, else " + plainMilter
	return &cli.Command{
		Name:  "migrate",
		Usage: "switch Postfix from OpenDKIM to signpostd, or back, once both sign alike",
		UsageText: "signpost migrate [options] [OPENDKIM.CONF]\n" +
			"signpost migrate --back [options]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "compare and show what would change, and change nothing"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
			&cli.BoolFlag{Name: "back", Usage: "switch back to OpenDKIM"},
			&cli.BoolFlag{Name: "accept-loss", Usage: "go on though some mail that OpenDKIM signs would no longer be signed"},
			&cli.BoolFlag{Name: "dns", Usage: "verify the signatures by the records in the DNS too"},
			keys.Flag(),
			settings.Named("config-dir").Flag(),
			milter.Flag(),
			&cli.StringFlag{Name: "opendkim", Usage: "OpenDKIM listens at `ADDRESS`, as it is in main.cf; " +
				"default: Socket of its configuration"},
			resolverFlag(),
			timeoutFlag(5 * time.Second),
		},
		Action: func(c *cli.Context) error {
			if c.Bool("back") {
				return migrateBack(c)
			}
			return migrateAction(c)
		},
	}
}

// Where signpostd listens for Postfix: by its systemd socket, within the chroot of
// Postfix; or by itself, beside OpenDKIM, which most often has 8891.
const (
	unitMilter  = "unix:signpost/milter"
	plainMilter = "inet:127.0.0.1:8892"
)

// cutOver is a switch to signpostd that is worked out and not begun.
type cutOver struct {
	dir      string // of main.cf
	keys     string // the key directory
	queue    string
	from, to string // the milters as they are in main.cf
	plan     *migrate.Plan
	steps    []migrate.Step
	settings []importSetting
	findings []finding.Finding
	edit     *postfix.Switch
	unit     *unit // nil where signpostd is started by other means
	compare  comparing
	results  []compared
}

func migrateAction(c *cli.Context) error {
	if err := switchedAlready(c.String("config-dir")); err != nil {
		return err
	}
	m, err := newCutOver(c)
	if err != nil {
		return err
	}
	lost := slices.ContainsFunc(m.findings, func(f finding.Finding) bool { return f.Level == finding.Fault })
	trialErr := m.try(c)
	m.print(c)
	if trialErr != nil {
		return trialErr
	}
	if lost && !c.Bool("accept-loss") {
		return finding.WithHint(errors.New("not all mail that OpenDKIM signs would be signed; nothing was changed"),
			"mend the faults above, or leave that mail unsigned with --accept-loss")
	}
	if goOn, err := confirmed(c); err != nil || !goOn {
		return err
	}
	return m.do(c)
}

// newCutOver reads everything, and works out what to do.
func newCutOver(c *cli.Context) (*cutOver, error) {
	conf := "/etc/opendkim.conf"
	switch c.Args().Len() {
	case 0:
	case 1:
		conf = c.Args().First()
	default:
		return nil, usageError("one configuration of OpenDKIM, not %d", c.Args().Len())
	}
	m := &cutOver{dir: c.String("config-dir"), keys: c.String("keys")}
	var err error
	if m.plan, err = migrate.Read(conf, migrate.Options{Kind: migrate.OpenDKIM}); err != nil {
		return nil, unreadPlan(err)
	}
	options, err := keyDirectory(c)
	if err != nil {
		return nil, err
	}
	// It has a default of its own.
	if err := options.Use(m.keys); err != nil || options.Dir != m.keys {
		return nil, finding.WithHint(usageError("--keys: keys are copied to one directory, not to %s",
			settings.WithoutPasswords(m.keys)), "signpost import --to carries them over to other places")
	}
	there, err := keystore.Load(options.Options)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, exitError{exitUnknown, err}
	}
	var more, lost []finding.Finding
	m.steps, more = migrate.Steps([]*migrate.Plan{m.plan}, options.Place(), there, time.Now())
	socket := m.plan.Setting("SIGNPOST_LISTEN")
	m.settings, lost = importSettings(&options, "--keys", []*migrate.Plan{m.plan})
	m.settings = slices.DeleteFunc(m.settings, func(s importSetting) bool { return s.Variable == "SIGNPOST_LISTEN" })
	m.findings = slices.Concat(m.plan.Findings, more, lost)
	if len(m.plan.Domains()) == 0 {
		m.print(c)
		return nil, fmt.Errorf("%s: OpenDKIM signs for no domain that can be carried over", conf)
	}
	if m.compare.onDisk, err = recordsOf(m.plan); err != nil {
		return nil, err
	}
	if c.Bool("dns") {
		if m.compare.published, err = resolverOf(c); err != nil {
			return nil, err
		}
	}
	return m, m.readPostfix(c, socket)
}

// readPostfix finds OpenDKIM in main.cf, and works out the switch.
func (m *cutOver) readPostfix(c *cli.Context, socket string) error {
	config, err := postfix.ReadConfig(m.dir)
	if err != nil {
		return finding.WithHint(err, "name the directory of main.cf with --config-dir, and run this as root")
	}
	if _, err := config.AskPostconf(c.Context); err != nil {
		return err
	}
	m.queue = config.Value("queue_directory")
	if given := c.String("opendkim"); given != "" {
		socket = given
	} else if all := config.MilterAddresses(); socket == "" && len(all) == 1 {
		socket = all[0] // then it was given on the command line of OpenDKIM
	}
	if socket == "" {
		return finding.WithHint(usageError("%s does not say where OpenDKIM listens", m.plan.Path),
			"say which milter of main.cf it is with --opendkim ADDRESS")
	}
	for _, address := range config.MilterAddresses() {
		if m.same(address, socket) {
			m.from = address
		}
	}
	m.unit = installedUnit(c.Context)
	if m.to = c.String("milter"); m.to == "" {
		if m.to = plainMilter; m.unit != nil {
			m.to = unitMilter
		}
	} else if m.to != unitMilter {
		m.unit = nil
	}
	if m.same(m.to, socket) {
		return finding.WithHint(usageError("--milter %s is where OpenDKIM listens", m.to), "give signpostd another address")
	}
	m.edit, err = postfix.SwitchMilter(m.dir, config, func(a string) bool { return m.same(a, socket) }, m.to)
	if errors.Is(err, postfix.ErrNoMilter) {
		return finding.WithHint(fmt.Errorf("OpenDKIM listens at %s: %w", socket, err),
			"if it has another name there, give that with --opendkim ADDRESS")
	}
	if err != nil {
		return err
	}
	if m.compare.theirs, err = m.reach(m.from); err == nil {
		m.compare.ours, err = m.reach(m.to)
	}
	return err
}

// try compares a signpostd of our own, with copies of the keys, to OpenDKIM.
func (m *cutOver) try(c *cli.Context) error {
	if !listens(m.compare.theirs) {
		return finding.WithHint(fmt.Errorf("OpenDKIM does not answer at %s, so there is nothing to compare with",
			m.compare.theirs), "start it, or say where it listens with --opendkim ADDRESS")
	}
	t, err := startTrial(c.Context, m.steps, m.settings)
	if err != nil {
		return err
	}
	defer t.stop()
	trial := m.compare
	trial.ours = t.address
	m.results, err = trial.all(c.Context, m.plan.Domains(), subdomainsOf(m.settings))
	if err != nil {
		return errors.Join(err, errors.New("mail would not be signed as before; nothing was changed"))
	}
	return nil
}

// confirmed asks at a terminal; elsewhere --yes must say so.
func confirmed(c *cli.Context) (bool, error) {
	switch {
	case c.Bool("dry-run"):
		fmt.Fprintf(c.App.Writer, "\nnothing was changed\n")
		return false, nil
	case c.Bool("yes"):
		return true, nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		fmt.Fprintf(c.App.Writer, "\nnothing was changed; to go on, add --yes\n")
		return false, nil
	}
	fmt.Fprintf(c.App.ErrWriter, "\nswitch Postfix? [y/N] ")
	var answer string
	if _, err := fmt.Fscanln(c.App.Reader, &answer); err != nil && c.Context.Err() != nil {
		return false, errStopped
	}
	if answer != "y" && answer != "yes" {
		fmt.Fprintf(c.App.Writer, "nothing was changed\n")
		return false, nil
	}
	return true, nil
}
