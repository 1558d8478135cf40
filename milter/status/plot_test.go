package status

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"signpost/milter/status/view"
)

func TestScale(t *testing.T) {
	t.Parallel()
	for most, top := range map[float64]float64{0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 7: 8, 9: 10, 10: 10, 11: 20, 99: 100, 100: 100,
		101: 200, 1234: 2000, 30001: 40000, math.MaxUint32: 6e9, 1e18: 1e18} {
		if got := scale(most); got != top {
			t.Errorf("%v: %v, want %v", most, got, top)
		}
	}
}

// stepsOf is a day that ends at noon, with these messages in its last steps.
func stepsOf(last ...view.Step) view.Day {
	day := view.Day{Since: noon.Add(-100 * time.Hour), Step: step, Steps: make([]view.Step, steps)}
	copy(day.Steps[steps-len(last):], last)
	for i := range day.Steps {
		day.Steps[i].Time = noon.Truncate(10 * time.Minute).Add(time.Duration(i+1-steps) * step * time.Second)
	}
	return day
}

func TestPlot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps     []view.Step
		top, half string
		bars      string // result and path
	}{
		"none":         {nil, "1", "", ""},
		"one":          {[]view.Step{{Signed: 1}}, "1", "", "signed M143 0h.86v120h-.86z"},
		"stacked":      {[]view.Step{{Signed: 2, Unsigned: 1, Deferred: 1}}, "4", "2", "signed M143 60h.86v60h-.86z, unsigned M143 30h.86v30h-.86z, tempfail M143 0h.86v30h-.86z"},
		"a gap":        {[]view.Step{{Signed: 1}, {}, {Signed: 2}}, "2", "1", "signed M141 60h.86v60h-.86zM143 0h.86v120h-.86z"},
		"few of many":  {[]view.Step{{Signed: 1e6, Deferred: 1}}, "2000000", "1000000", "signed M143 60h.86v60h-.86z, tempfail M143 58h.86v2h-.86z"},
		"all is full":  {[]view.Step{{Signed: 1e6 - 3, Unsigned: 1, Deferred: 1, Refused: 1}}, "1000000", "500000", "signed M143 6h.86v114h-.86z, unsigned M143 4h.86v2h-.86z, tempfail M143 2h.86v2h-.86z, rejected M143 0h.86v2h-.86z"},
		"huge":         {[]view.Step{{Signed: math.MaxUint32 * 1000}}, "6000000000000", "3000000000000", "signed M143 34.1h.86v85.9h-.86z"},
		"only refused": {[]view.Step{{Refused: 3}}, "3", "", "rejected M143 0h.86v120h-.86z"},
	} {
		p := newPlot(stepsOf(test.steps...))
		var got []string
		for _, b := range p.Bars {
			got = append(got, string(b.Result)+" "+b.Path)
		}
		if bars := strings.Join(got, ", "); p.Top != test.top || p.Half != test.half || bars != test.bars {
			t.Errorf("%s: to %s (%s), %q; want %s (%s), %q", name, p.Top, p.Half, bars, test.top, test.half, test.bars)
		}
	}
}

// Whatever there is, bars stay in the picture and stand upon each other.
func TestPlotStaysInside(t *testing.T) {
	t.Parallel()
	var day []view.Step
	for i := range uint64(steps) {
		day = append(day, view.Step{Signed: i * i * i, Unsigned: i % 7, Deferred: i % 3, Refused: i % 2 * 1e5})
	}
	box := regexp.MustCompile(`M(\d+) ([\d.]+)h\.86v([\d.]+)h-\.86z`)
	bottoms := make(map[string]float64)
	for _, b := range newPlot(stepsOf(day...)).Bars {
		if rest := box.ReplaceAllString(b.Path, ""); rest != "" {
			t.Errorf("%s has %.50q", b.Result, rest)
		}
		for _, found := range box.FindAllStringSubmatch(b.Path, -1) {
			y, _ := strconv.ParseFloat(found[2], 64)
			h, _ := strconv.ParseFloat(found[3], 64)
			bottom, stands := bottoms[found[1]]
			if !stands {
				bottom = plotHeight
			}
			if math.Abs(y+h-bottom) > .15 || y < 0 || h < 2 {
				t.Errorf("a bar of %s at %s goes from %v by %v, and what is below ends at %v", b.Result, found[1], y, h, bottom)
			}
			bottoms[found[1]] = y
		}
	}
}

func TestPlotTimes(t *testing.T) {
	t.Parallel()
	day := stepsOf(view.Step{Signed: 1}, view.Step{Deferred: 2}, view.Step{Signed: 4}, view.Step{}, view.Step{Unsigned: 8})
	p := newPlot(day)
	ticks := ""
	for _, tick := range p.Ticks {
		ticks += fmt.Sprintf("%s %v, ", tick.Time.Format("15:04"), tick.At)
	}
	// The last step, from noon on, is a part of the picture.
	if want := "16:00 16, 20:00 32.6, 00:00 49.3, 04:00 66, 08:00 82.6, "; ticks != want {
		t.Errorf("ticks at %s, want %s", ticks, want)
	}
	hours := ""
	for _, h := range p.Hours {
		hours += fmt.Sprintf("%s %d %d %d, ", h.Time.Format("15:04"), h.Signed, h.Unsigned, h.Deferred)
	}
	if want := "12:00 0 8 0, 11:00 5 0 2, "; hours != want {
		t.Errorf("hours are %s, want %s", hours, want)
	}
	if p.Sum.Messages() != 15 || p.Busiest.Unsigned != 8 || p.Before != 0 {
		t.Errorf("%+v", p)
	}
	day.Since = noon.Add(-3 * time.Hour)
	if before := newPlot(day).Before; math.Abs(before-125) > .1 {
		t.Errorf("%v steps before the start", before)
	}
}
