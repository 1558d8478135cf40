package status

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/milter/status/view"
)

// plotHeight is that of the picture, in pixels. Its width is a unit for each step.
const plotHeight = 120

// plot is a picture of a day: bars of what stands upon each other, a step wide.
type plot struct {
	view.Day
	Width, Height int
	Bars          []bars
	Top, Half     string // of the scale; no half of an odd number
	Ticks         []tick
	Before        float64     // how many of the steps were before counting began
	Sum           view.Step   // of all
	Busiest       view.Step   // of them
	Hours         []view.Step // those with messages, the last first
}

// bars are those of one result, as the data of an SVG path.
type bars struct {
	Result view.Result
	Path   string
}

// tick is a time at a percentage of the width.
type tick struct {
	At   float64
	Time time.Time
}

func newPlot(day view.Day) *plot {
	p := &plot{Day: day, Width: len(day.Steps), Height: plotHeight}
	for _, s := range day.Steps {
		add(&p.Sum, s)
		if s.Messages() > p.Busiest.Messages() {
			p.Busiest = s
		}
		hour := s.Time.Truncate(time.Hour)
		switch last := len(p.Hours) - 1; {
		case s.Messages() == 0:
		case last >= 0 && p.Hours[last].Time.Equal(hour):
			add(&p.Hours[last], s)
		default:
			s.Time = hour
			p.Hours = append(p.Hours, s)
		}
	}
	slices.Reverse(p.Hours)
	top := scale(float64(p.Busiest.Messages()))
	p.Top = strconv.FormatFloat(top, 'f', 0, 64)
	if half := top / 2; half == math.Trunc(half) {
		p.Half = strconv.FormatFloat(half, 'f', 0, 64)
	}
	p.draw(top)

	first, width := day.Steps[0].Time, time.Duration(len(day.Steps)*day.Step)*time.Second
	for at := first.Truncate(4 * time.Hour); at.Before(first.Add(width)); at = at.Add(4 * time.Hour) {
		if share := float64(at.Sub(first)) / float64(width); share >= .02 && share <= .98 {
			p.Ticks = append(p.Ticks, tick{math.Round(share*1000) / 10, at})
		}
	}
	p.Before = max(0, day.Since.Sub(first).Seconds()/float64(day.Step))
	return p
}

func add(sum *view.Step, s view.Step) {
	for _, result := range view.Results() {
		*sum.Of(result) += *s.Of(result)
	}
}

// scale returns where the scale of a picture ends that has this in it: at a number that
// can be read.
func scale(most float64) float64 {
	top := 1.0
	for ; top*10 <= most; top *= 10 {
	}
	for _, n := range []float64{1, 2, 3, 4, 6, 8} {
		if most <= n*top {
			return n * top
		}
	}
	return 10 * top
}

// draw stacks the results. One message among thousands is seen: what there is has a
// height of two pixels, and those that are signed give way to it.
func (p *plot) draw(top float64) {
	const least, width = 2, ".86"
	number := func(n float64) string { return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) }
	paths := make(map[view.Result]*strings.Builder)
	for _, result := range view.Results() {
		paths[result] = new(strings.Builder)
	}
	for x, s := range p.Steps {
		heights, others := make(map[view.Result]float64), 0.0
		for _, result := range view.Results() {
			if n := *s.Of(result); n > 0 {
				heights[result] = max(least, float64(n)/top*plotHeight)
				if result != view.Signed {
					others += heights[result]
				}
			}
		}
		heights[view.Signed] = min(heights[view.Signed], max(0, plotHeight-others))
		y := float64(plotHeight)
		for _, result := range view.Results() {
			if h := heights[result]; h > 0 {
				y -= h
				fmt.Fprintf(paths[result], "M%d %sh%sv%sh-%sz", x, number(max(0, y)), width, number(h), width)
			}
		}
	}
	for _, result := range view.Results() {
		if path := paths[result].String(); path != "" {
			p.Bars = append(p.Bars, bars{result, path})
		}
	}
}
