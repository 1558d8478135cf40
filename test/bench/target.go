package main

import (
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// A figures is all that was measured; parts may be missing.
type figures struct {
	direct     map[string]map[string]*result // by scenario and milter
	one, many  map[string]*result            // through Postfix, by milter
	scales     []*scale
	processors int
	signature  float64 // processor time of one RSA-2048 signature by libcrypto, in microseconds
}

// A target is what is to be reached.
type target struct {
	what     string
	wanted   string
	measured string
	met      string
}

// targets are those that can be judged by what was measured: of the first build
// of signpostd, and where they say so of the one in pure Go.
func (b *bench) targets(f figures) (list []target) {
	best, pure := b.ours(false), b.ours(true)
	add := func(what, wanted string, measured string, met bool) {
		verdict := "**no**"
		if met {
			verdict = "yes"
		}
		list = append(list, target{what, wanted, measured, verdict})
	}
	atLeast := func(scenario, mine, theirs string, wanted float64) {
		results := f.direct[scenario]
		if got := ratio(results[mine], results[theirs]); got > 0 {
			add(fmt.Sprintf("%s: %s / %s", scenario, mine, theirs), "at least "+times(wanted), times(got), got >= wanted)
		}
	}
	atMost := func(what string, wanted, got float64, unit string) {
		add(what, "under "+number(wanted)+unit, number(got)+unit, got < wanted)
	}
	within := func(what string, wanted, got time.Duration) {
		add(what, "within "+fmt.Sprint(wanted), fmt.Sprint(got.Round(time.Millisecond)), got <= wanted)
	}

	atLeast("4KiB x8", best, "opendkim", 3.8)
	atLeast("4KiB x8", best, "rspamd", 1.5)
	if pure != "" {
		atLeast("4KiB x8", pure, "opendkim", 1.9)
	}
	atLeast("1MiB x8", best, "opendkim", 3.3)
	atLeast("1MiB x8", best, "rspamd", 2.1)
	atLeast("10MiB x8", best, "opendkim", 2.3)
	atLeast("10MiB x8", best, "rspamd", 2.3)
	atLeast("4KiB x8 Ed25519", best, "opendkim", 6)
	atLeast("4KiB x8 Ed25519", best, "rspamd", 2.3)
	small := f.direct["4KiB x8"]
	if both := ratio(small[best+bothSuffix], small[best]); both > 0 {
		atMost("4KiB x8: cost of an Ed25519 signature beside RSA", 12, 100*(1-both), " %")
	}
	if mine, floor := small[best], small[nothingName]; f.signature > 0 && measured(mine) && measured(floor) {
		floor := f.signature + median(floor.cpu)
		atMost(fmt.Sprintf("4KiB x8: CPU of a message (%s µs) to that of one signature by libcrypto and of nothing (%s µs)",
			number(median(mine.cpu)), number(floor)), 1.3, median(mine.cpu)/floor, "x")
	}
	for _, scenario := range []string{"4KiB x8", "64KiB x8", "1MiB x8", "10MiB x8"} {
		if mine, theirs := f.direct[scenario][best], f.direct[scenario]["rspamd"]; measured(mine) && measured(theirs) {
			a, b := median(mine.p99), median(theirs.p99)
			add(scenario+": end of message p99", "at most rspamd's "+number(b)+" ms", number(a)+" ms", a <= b)
		}
	}
	if mine := f.direct["1MiB x8"][best]; measured(mine) {
		atMost("1MiB x8: peak memory", 24, mine.peak, " MiB")
	}
	through := func(peer string, wanted float64) {
		if got := ratio(f.many[best], f.many[peer]); got > 0 {
			add("through Postfix, many a session: "+best+" / "+peer+f.ceiling(peer), "at least "+times(wanted), times(got), got >= wanted)
		}
	}
	through("opendkim", 1.7)
	through("rspamd", 1.3)
	if mine := f.many[best]; measured(mine) {
		atMost("through Postfix, many a session: share of the machine's CPU", 18, median(mine.cpu), " %")
	}
	for _, sc := range f.scales {
		if sc.domains >= 100_000 {
			where := fmt.Sprintf("%d domains, %s: ", sc.domains, sc.layout)
			within(where+"first signature", time.Second, sc.first)
			within(where+"a dropped key in use", time.Second, sc.drop)
			atMost(where+"memory idle", 120, sc.idle, " MiB")
			atMost(where+"memory after a reload", 120, sc.reloaded, " MiB")
			add(where+"last domain to the first", "at least 0.95x", times(sc.lastToFirst()), sc.lastToFirst() >= 0.95)
		}
	}
	return list
}

// ceiling says how many times as fast as a peer a milter could be through Postfix
// that only adds a field and makes one signature.
func (f figures) ceiling(peer string) string {
	adds := f.many[addingName]
	if f.signature == 0 || !measured(adds) {
		return ""
	}
	most := 1 / (1/median(adds.rates) + f.signature/1e6/float64(f.processors))
	return fmt.Sprintf(" (a field and a signature alone: %s)", times(most/median(f.many[peer].rates)))
}

// measured reports whether there is a result.
func measured(r *result) bool { return r != nil && r.cannot == "" && len(r.cpu) > 0 }

// ours is the name of our first build, or of the first that signs RSA with Go's
// own code.
func (b *bench) ours(pure bool) string {
	for _, c := range b.contenders {
		if c.ours && (c.pure || !pure) {
			return c.name
		}
	}
	return ""
}

func printTargets(w io.Writer, list []target) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "## Targets\n\n")
	t := table{head: []string{"what", "target", "measured", "met"}}
	for _, x := range list {
		t.add(x.what, x.wanted, x.measured, x.met)
	}
	t.print(w)
}

// librarySignature is the processor time of one RSA-2048 signature by OpenSSL's
// own benchmark, in microseconds; the median of three.
func librarySignature() (float64, error) {
	line := regexp.MustCompile(`(?m)^rsa 2048 bits \S+ \S+ +(\S+)`)
	var all []float64
	for range 3 {
		out, err := exec.Command("openssl", "speed", "-seconds", "1", "rsa2048").Output()
		if err != nil {
			return 0, fmt.Errorf("openssl speed: %w", err)
		}
		found := line.FindSubmatch(out)
		if found == nil {
			return 0, fmt.Errorf("openssl speed printed %q, in which there is no time of rsa 2048", out)
		}
		perSecond, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, fmt.Errorf("openssl speed: %w", err)
		}
		all = append(all, 1e6/perSecond)
	}
	return median(all), nil
}
