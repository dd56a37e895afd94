package guard

// Without switches rules off.
func Without(g *Guard, rules ...string) {
	g.off = map[string]bool{}
	for _, r := range rules {
		g.off[r] = true
	}
}
