// Signpostd is a milter that signs mail with DKIM, with keys from a directory
// that it watches.
//
// The log goes to standard output. An error that ends the start goes to
// standard error with the prefix "signpostd:", in lower case, on one line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/libcrypto"
	"signpost/keystore/rotation"
)

// Exit codes. 0 is a stop that was asked for, or a check without findings.
const (
	exitFailure = 1 // could not start or go on; trying again may help
	exitUsage   = 2 // wrong settings; trying again will not help
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name:        "signpostd",
		Usage:       settings.DaemonUsage,
		UsageText:   "signpostd [options]",
		Version:     version + ", RSA by " + libcrypto.Name(),
		Description: settings.DaemonHelp,
		Flags: append(settings.Flags(settings.ForDaemon()), &cli.BoolFlag{Name: "check",
			DisableDefaultText: true, Usage: settings.CheckUsage}),
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return usageError{settings.FlagError(err, args, c.App.Flags, "signpostd --help")}
		},
		ExitErrHandler: func(*cli.Context, error) {}, // the code is returned, below
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{finding.WithHint(fmt.Errorf("unexpected argument %q", c.Args().First()),
					"signpostd takes options only, see signpostd --help")}
			}
			s, err := settings.ReadDaemon(c)
			if err != nil {
				return usageError{err}
			}
			return start(c.Context, s, c.Bool("check"), newLog(s, stdout))
		},
	}
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "signpostd: error: %s\n", finding.Text(err))
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitFailure
}

// usageError is an error in the settings.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// newLog returns the log in the format asked for.
func newLog(s *settings.Daemon, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == settings.LogJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// start loads the keys and then checks them or serves.
func start(ctx context.Context, s *settings.Daemon, check bool, log *slog.Logger) error {
	// From the first moment on, for a SIGHUP that nobody catches is the end.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for _, warning := range s.Warnings {
		what, hint := finding.Split(warning)
		if hint == "" {
			log.Warn(what)
			continue
		}
		log.Warn(what, "hint", hint)
	}
	if err := private(s, log); err != nil {
		return err
	}
	if s.Autogenerate && !check {
		if err := generate(ctx, s, log); err != nil {
			return err
		}
	}
	if s.Keys.Cache != "" && !check {
		// A directory that is made later signpostd may not write to, once it is confined.
		if err := keystore.MakeCache(s.Keys.Cache, s.Keys.CacheKey); err != nil {
			log.Error("there will be no local copy of the keys", finding.Attr(err))
		}
	}
	store, err := openSources(ctx, &s.Keys, log)
	if err != nil {
		return err
	}
	shared, err := openShared(s, store, log)
	if err != nil {
		return err
	}
	if shared != nil {
		store = shared
	}
	book, err := rotation.Open(store, s.Keys.Mode, s.State, log)
	if err != nil {
		return err
	}
	if _, unread := store.Snapshot().Count(); check && unread > 0 {
		store.ReadAll()
	}
	memory := newMemory(store)
	silent := unanswered(store, log)
	unsigned, err := warnUnsigned(s, store, book, log)
	if err != nil && silent == 0 && !check {
		return err
	}
	if check {
		warnOfAge(book, s.KeyAge, log)
		return checked(len(store.Snapshot().Problems())+unsigned+silent, log)
	}
	if shared != nil {
		shared.Follow(book.Signs)
	}
	go memory.follow(ctx)
	return serve(ctx, s, store, book, shared, hangup, log)
}

// warnUnsigned logs which mail will not be signed for want of keys, and returns how
// many of the domains that must be signed have none, not even a broken one. It is an
// error when there are keys and none can be used: then something is wrong with all
// of them, such as their owner, and nothing would work.
func warnUnsigned(s *settings.Daemon, source keystore.Source, book *rotation.Book,
	log *slog.Logger) (unsigned int, err error) {
	keys := source.Snapshot()
	usable, unread := keys.Count()
	if problems := keys.Problems(); usable+unread == 0 && len(problems) > 0 {
		err = fmt.Errorf("no key in %s is usable: %w", source.Name(), problems[0])
	}
	if usable+unread == 0 && err == nil && len(s.Domains) == 0 {
		log.Warn("no key yet, so no mail is signed", "keys", source.Name(), "hint", "put keys there, they are loaded at once")
	}
	if also := s.Rules.Also.Domain; also != "" {
		if _, missing := book.Signing(also); missing != nil {
			log.Warn("the relay's own signature is missing until there is a usable key", "domain", also, finding.Attr(missing))
			unsigned++
		}
	}
	for _, domain := range s.Domains {
		_, _, missing := s.Rules.Keys(domain, book.Signing)
		if missing != nil {
			// Why a key is broken has been logged already.
			log.Warn("mail is deferred until there is a usable key", "domain", domain)
		}
		if errors.Is(missing, keystore.ErrNoKey) {
			unsigned++
		}
	}
	return unsigned, err
}

// checked says how the check went, for --check.
func checked(findings int, log *slog.Logger) error {
	if findings > 0 {
		return finding.WithHint(fmt.Errorf("the check found %d problems", findings),
			"they are in the log above")
	}
	log.Info("the check found nothing wrong")
	return nil
}
