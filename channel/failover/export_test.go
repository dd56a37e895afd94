package failover

import "github.com/otpcourier/otpcourier/channel"

// Gravity returns how a class is ordered, 0 if there is no rule for it.
func Gravity(c channel.Class) int {
	if int(c) >= len(gravity) {
		return 0
	}
	return gravity[c]
}
