package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A plot is drawn on the server, as SVG by the template: no script and no inline style,
// so that the content security policy stays closed. Its figures are in a table, too.
type plot struct {
	ID, Title, Note string
	Unit            string // "%", "s" or none
	Money           bool   // values are millionths
	Stacked         bool   // bars; else lines
	Series          []series
	Times           []string // of each value
	Open            int      // values at the end that still grow
}

// A series has a value for each time; NaN: there is none.
type series struct {
	Name   string
	Values []float64
}

// The plot in its own units.
const (
	plotWidth, plotHeight = 600, 180
	plotLeft, plotTop     = 64, 8
	plotRight, plotBottom = 596, 156
)

// maxSeries are drawn; a seventh line would not be read.
const maxSeries = 6

// fewer adds the smallest series up to one, if there are more than are drawn.
func fewer(all []series) []series {
	if len(all) <= maxSeries {
		return all
	}
	rest := series{otherName, make([]float64, len(all[0].Values))}
	for _, s := range all[maxSeries-1:] {
		for i, v := range s.Values {
			rest.Values[i] += v
		}
	}
	return append(all[:maxSeries-1:maxSeries-1], rest)
}

// top is the highest value that the plot has room for.
func (p *plot) top() float64 {
	if p.Unit == "%" {
		return 100
	}
	most := 0.0
	for i := range p.Times {
		sum := 0.0
		for _, s := range p.Series {
			if v := s.Values[i]; p.Stacked {
				sum += v
			} else if v > sum {
				sum = v
			}
		}
		most = max(most, sum)
	}
	if p.Money && most == 0 {
		return float64(unit)
	}
	scale := math.Pow(10, math.Floor(math.Log10(max(most, 1))))
	for _, m := range []float64{1, 2, 4, 5, 8} {
		if most <= m*scale {
			return max(m*scale, 4) // so that each line of the grid is a whole number
		}
	}
	return 10 * scale
}

func (p *plot) x(i float64) float64 {
	return plotLeft + (plotRight-plotLeft)*i/float64(max(len(p.Times), 1))
}

func (p *plot) y(v float64) float64 { return plotBottom - (plotBottom-plotTop)*v/p.top() }

// A label is a text at a place of the plot.
type label struct {
	X, Y float64
	Text string
}

// Grid are the horizontal lines.
func (p *plot) Grid() (lines []label) {
	for i := range 5 {
		v := p.top() * float64(i) / 4
		lines = append(lines, label{plotLeft, p.y(v), p.show(v)})
	}
	return lines
}

// Marks are the times below.
func (p *plot) Marks() (marks []label) {
	for i := 0; i < len(p.Times); i += max(1, (len(p.Times)+5)/6) {
		marks = append(marks, label{p.x(float64(i)), plotHeight - 4, p.Times[i]})
	}
	return marks
}

// Growing is where the values still grow.
func (p *plot) Growing() float64 { return p.x(float64(len(p.Times) - p.Open)) }

// GrowingWidth is the width of Growing.
func (p *plot) GrowingWidth() float64 { return plotRight - p.Growing() }

// Line is the path of a series, with a gap where it has no value.
func (p *plot) Line(s series) string {
	var path strings.Builder
	draw := false
	for i, v := range s.Values {
		if math.IsNaN(v) {
			draw = false
			continue
		}
		command := "M"
		if draw {
			command = "L"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, p.x(float64(i)+0.5), p.y(v))
		if next := i + 1; !draw && (next == len(s.Values) || math.IsNaN(s.Values[next])) {
			path.WriteString("h.1") // a single value is a dot
		}
		draw = true
	}
	return path.String()
}

// Bars is the path of a series that stands on those before it.
func (p *plot) Bars(k int) string {
	var path strings.Builder
	wide := p.x(1) - p.x(0) - 1
	for i := range p.Times {
		base := 0.0
		for _, s := range p.Series[:k] {
			base += s.Values[i]
		}
		if v := p.Series[k].Values[i]; v > 0 {
			fmt.Fprintf(&path, "M%.1f %.1fh%.1fV%.1fh-%.1fz", p.x(float64(i))+0.5, p.y(base), wide, p.y(base+v), wide)
		}
	}
	return path.String()
}

// Row is the figures of a time, counted from the latest.
type row struct {
	Time   string
	Values []string
}

// Rows are the latest figures.
func (p *plot) Rows() (rows []row) {
	for i := len(p.Times) - 1; i >= max(0, len(p.Times)-12); i-- {
		r := row{Time: p.Times[i]}
		for _, s := range p.Series {
			r.Values = append(r.Values, p.show(s.Values[i]))
		}
		rows = append(rows, r)
	}
	return rows
}

// Spoken is the plot in words: the latest value of each series.
func (p *plot) Spoken() string {
	var words []string
	for _, s := range p.Series {
		for i := len(s.Values) - 1 - p.Open; i >= 0; i-- {
			if !math.IsNaN(s.Values[i]) {
				words = append(words, fmt.Sprintf("%s: %s at %s", s.Name, p.show(s.Values[i]), p.Times[i]))
				break
			}
		}
	}
	if len(words) == 0 {
		return "There are no figures yet."
	}
	return strings.Join(words, "; ")
}

func (p *plot) show(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case p.Money:
		return money(math.Round(v)).String()
	case p.Unit != "":
		return fmt.Sprintf("%.0f %s", v, p.Unit)
	}
	return fmt.Sprintf("%.0f", v)
}

// timeForm is how the times of a span are written.
func timeForm(length time.Duration) string {
	switch {
	case length >= 24*time.Hour:
		return "2 Jan"
	case length > time.Hour:
		return "2 Jan 15:04"
	}
	return "15:04"
}
