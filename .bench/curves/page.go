package main

import (
	"fmt"
	"os"
	"strings"
)

// A table has a heading for each column, and rows of as many cells.
type table struct {
	title string
	heads []string
	rows  [][]string
}

func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
	fmt.Fprintln(os.Stderr, strings.Join(row, "  ")) // it takes minutes until the page is whole
}

// print writes the table as Markdown.
func (t *table) print(w *strings.Builder) {
	fmt.Fprintf(w, "\n%s\n\n| %s |\n|%s\n", t.title, strings.Join(t.heads, " | "), strings.Repeat("---|", len(t.heads)))
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// The marks of a page between which the tables are.
const (
	beginTables = "<!-- tables of .bench/curves -->\n"
	endTables   = "<!-- end of tables -->"
)

// replaceTables replaces what a page has between its marks.
func replaceTables(page, tables string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), beginTables)
	_, after, closed := strings.Cut(rest, endTables)
	if !ok || !closed {
		return fmt.Errorf("%s has no line %q, or none %q after it", page, beginTables, endTables)
	}
	return os.WriteFile(page, []byte(before+beginTables+tables+endTables+after), 0o644)
}

// thousands writes a number in groups of three digits.
func thousands[N int | int64 | float64](n N) string {
	digits := fmt.Sprintf("%.0f", float64(n))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
