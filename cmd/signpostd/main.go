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
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/libcrypto"
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
	os.Exit(run(ctx, os.Args, os.Environ(), os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name:            "signpostd",
		Usage:           "sign mail with DKIM as a milter of Postfix",
		UsageText:       "signpostd [options]",
		Version:         version + ", RSA by " + libcrypto.Name(),
		Description:     description,
		Flags:           flags(),
		Writer:          stdout,
		ErrWriter:       stderr,
		HideHelpCommand: true,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error {
			return usageError{fmt.Errorf("%w; hint: see signpostd --help", err)}
		},
		ExitErrHandler: func(*cli.Context, error) {}, // the code is returned, below
		Action: func(c *cli.Context) error {
			settings, err := readSettings(c, environ)
			if err != nil {
				return usageError{err}
			}
			log := settings.logger(stdout)
			return start(c.Context, settings, log)
		},
	}
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "signpostd: error: %v\n", err)
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitFailure
}

// usageError is an error in the settings.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// garbagePercent says how much garbage may gather, as a part of what lives: with
// many domains some 8 MiB, for their keys live long and are most of the memory in
// use. A message makes 2 KiB of it.
func garbagePercent(domains int) int {
	const garbage, domain = 8 << 20, 700
	return max(10, min(50, 100*garbage/(domains*domain+1)))
}

// start loads the keys and then checks them or serves.
func start(ctx context.Context, settings *settings, log *slog.Logger) error {
	// From the first moment on, for a SIGHUP that nobody catches is the end.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for _, warning := range settings.warnings {
		log.Warn(warning)
	}
	if settings.autogenerate && !settings.check {
		if err := generate(ctx, settings, log); err != nil {
			return err
		}
	}
	store, err := keystore.Open(settings.Keys, log)
	if err != nil {
		return err
	}
	if settings.check {
		store.ReadAll()
	}
	debug.SetGCPercent(garbagePercent(store.Snapshot().Len()))
	unsigned, err := warnUnsigned(settings, store.Snapshot(), log)
	if err != nil {
		return err
	}
	if settings.check {
		warnOfAge(store.Snapshot(), settings.keyAge, log)
		return check(len(store.Snapshot().Problems())+unsigned, log)
	}
	return serve(ctx, settings, store, hangup, log)
}

// warnUnsigned says which mail will not be signed for want of keys, and returns
// for how many of the domains that must be signed that is so. It is an error when there are
// keys and none can be used: then something is wrong with all of them, such as
// their owner, and nothing would work.
func warnUnsigned(settings *settings, keys *keystore.Snapshot, log *slog.Logger) (unsigned int, err error) {
	usable, unread := keys.Count()
	if problems := keys.Problems(); usable+unread == 0 && len(problems) > 0 {
		return 0, fmt.Errorf("no key in %s is usable: %s", settings.Keys.Dir, problems[0])
	}
	if usable+unread == 0 && len(settings.Domains) == 0 {
		log.Warn("no key yet, so no mail is signed; hint: put keys into the directory, they are taken up at once", "keys", settings.Keys.Dir)
	}
	for _, domain := range settings.Domains {
		if _, _, err := settings.Rules.Keys(domain, keys); err != nil {
			log.Warn("mail is refused for now until there is a key", "domain", domain, "err", err)
			unsigned++
		}
	}
	return unsigned, nil
}

// check says how the check went, for --check.
func check(findings int, log *slog.Logger) error {
	if findings > 0 {
		return fmt.Errorf("the check found %d problems; hint: they are in the log above", findings)
	}
	log.Info("the check found nothing wrong")
	return nil
}
