package failover

import "github.com/otpcourier/otpcourier/channel"

// Severity returns how a class is ordered, 0 if there is no rule for it.
func Severity(c channel.Class) int {
	if int(c) >= len(severities) {
		return 0
	}
	return severities[c]
}
