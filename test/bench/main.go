package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/test/lab"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", finding.Text(err))
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	daemons string
	peers   string
	only    string
	parts   string
	domains string
	layouts string
	rounds  int
	span    time.Duration
	warm    time.Duration
}

func run(args []string) error {
	if len(args) == 3 && (args[0] == nothingName || args[0] == addingName) {
		ln, err := net.Listen(args[1], args[2])
		if err != nil {
			return err
		}
		var endOfMessage func() []byte
		if args[0] == addingName {
			endOfMessage = longField
		}
		return serveNothing(ln, endOfMessage)
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.daemons, "daemons", "signpostd=bin/signpostd", "builds of signpostd, as NAME=PROGRAM, commas between; the targets are for the first")
	flags.StringVar(&o.peers, "peers", "nothing,opendkim,rspamd,dkimpy", "other milters, commas between")
	flags.StringVar(&o.parts, "parts", "direct,postfix,scale,redis", "what to measure, commas between")
	flags.StringVar(&o.only, "only", "", "only scenarios of the part direct whose name contains one of these texts, commas between, such as 4KiB")
	flags.StringVar(&o.domains, "domains", "1,1000,10000,100000", "numbers of domains of the parts scale and redis, commas between")
	flags.StringVar(&o.layouts, "layouts", "flat", "key directories of the part scale: flat, folder, or both with a comma between")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds, over which medians are taken")
	flags.DurationVar(&o.span, "span", 1500*time.Millisecond, "how long one run takes")
	flags.DurationVar(&o.warm, "warm", 300*time.Millisecond, "how long a milter is warmed up before a run")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return finding.WithHint(fmt.Errorf("argument %q", flags.Arg(0)),
			"there are only options, see -help")
	}
	if err := o.check(); err != nil {
		return err
	}
	var failed error
	code, err := lab.Enter(nil, func() int {
		failed = measure(lab.Files(), o)
		return 0
	})
	if err == nil && code != 0 {
		os.Exit(code)
	}
	return errors.Join(err, failed)
}

// check finds what would measure nothing.
func (o options) check() error {
	for option, list := range map[string][2]string{
		"-parts":   {o.parts, "direct,postfix,scale,redis"},
		"-peers":   {o.peers, "nothing,opendkim,rspamd,dkimpy"},
		"-layouts": {o.layouts, flat + "," + folder},
	} {
		for name := range strings.SplitSeq(list[0], ",") {
			if !slices.Contains(strings.Split(list[1], ","), name) && (name != "" || option != "-peers") {
				return fmt.Errorf("%s %q: want some of %s, commas between", option, name, list[1])
			}
		}
	}
	if !slices.ContainsFunc(scenarios(), func(sc scenario) bool { return selected(sc.name, o.only) }) {
		return finding.WithHint(fmt.Errorf("-only %q: no scenario has that in its name", o.only),
			"names are like \"4KiB x8 TCP\"")
	}
	if o.rounds < 1 || o.span <= 0 || o.warm < 0 {
		return fmt.Errorf("-rounds %d, -span %v, -warm %v: want at least one round, some time, and no less than no time", o.rounds, o.span, o.warm)
	}
	return nil
}

// measure does all that the options ask for.
func measure(dir string, o options) error {
	b := &bench{dir: dir, rounds: o.rounds, span: o.span, warm: o.warm}
	var err error
	if b.contenders, err = contenders(o); err != nil {
		return err
	}
	if b.keys, err = makeKeys(dir); err != nil {
		return err
	}
	printMachine(os.Stdout, o)
	f := figures{processors: runtime.NumCPU()}
	if strings.Contains(o.parts, "direct") {
		var done []scenario
		f.direct = make(map[string]map[string]*result)
		for _, sc := range scenarios() {
			if selected(sc.name, o.only) {
				fmt.Fprintf(os.Stderr, "bench: %s\n", sc.name)
				f.direct[sc.name] = b.run(sc)
				done = append(done, sc)
			}
		}
		b.printDirect(os.Stdout, done, f.direct)
		if f.signature, err = librarySignature(); err != nil {
			return err
		}
		fmt.Printf("One RSA-2048 signature by `openssl speed`: %s µs\n\n", number(f.signature))
	}
	if strings.Contains(o.parts, "postfix") {
		fmt.Fprintln(os.Stderr, "bench: through Postfix")
		if f.one, err = b.throughPostfix(false); err != nil {
			return err
		}
		if f.many, err = b.throughPostfix(true); err != nil {
			return err
		}
		b.printPostfix(os.Stdout, f.one, f.many)
	}
	if strings.Contains(o.parts, "scale") {
		if f.scales, err = b.scales(o); err != nil {
			return err
		}
		printScale(os.Stdout, f.scales)
	}
	if strings.Contains(o.parts, "redis") {
		if err := b.sharedStores(o, os.Stdout); err != nil {
			return err
		}
	}
	printTargets(os.Stdout, b.targets(f))
	return b.failed
}

// numbers are those of domains.
func (o options) numbers() (list []int, err error) {
	for number := range strings.SplitSeq(o.domains, ",") {
		domains, err := strconv.Atoi(number)
		if err != nil || domains < 1 || domains > 999_999 {
			return nil, fmt.Errorf("-domains %q: want a number from 1 to 999999", number)
		}
		list = append(list, domains)
	}
	return list, nil
}

// scales measures each build with each number of domains in each layout.
func (b *bench) scales(o options) (scales []*scale, err error) {
	numbers, err := o.numbers()
	if err != nil {
		return nil, err
	}
	for _, domains := range numbers {
		for layout := range strings.SplitSeq(o.layouts, ",") {
			name, program, _ := strings.Cut(strings.Split(o.daemons, ",")[0], "=")
			fmt.Fprintf(os.Stderr, "bench: %d domains, %s\n", domains, layout)
			sc, err := b.scale(name, program, domains, layout)
			if err != nil {
				return nil, fmt.Errorf("%s with %d domains, layout %s: %w", name, domains, layout, err)
			}
			scales = append(scales, sc)
		}
	}
	return scales, nil
}

// selected reports whether a name is asked for.
func selected(name, only string) bool {
	if only == "" {
		return true
	}
	for part := range strings.SplitSeq(only, ",") {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// contenders are the milters that the options ask for.
func contenders(o options) ([]contender, error) {
	known := []contender{itself(nothingName), openDKIM(), rspamd(), dkimpy()}
	var list []contender
	for _, c := range known {
		for name := range strings.SplitSeq(o.peers, ",") {
			if name == c.name {
				list = append(list, c)
			}
		}
	}
	for entry := range strings.SplitSeq(o.daemons, ",") {
		name, program, ok := strings.Cut(entry, "=")
		if _, err := os.Stat(program); !ok || err != nil {
			return nil, finding.WithHint(fmt.Errorf("-daemons %q: want NAME=PROGRAM: %v", entry, err),
				"make build")
		}
		list = append(list, signpostd(name, program))
	}
	return list, nil
}
