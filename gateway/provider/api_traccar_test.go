package provider_test

import (
	"github.com/otpcourier/otpcourier/channel"
)

// traccar is traccar-sms-gateway.
var traccar = api{
	name:   "traccar",
	values: map[string]string{"key": "tc-key-1f00", "slot": "1"},
	urls:   []string{"url"},
	send:   "/",
	accept: "<!-- %d -->",
	noIDs:  true,
	refusals: map[channel.Class]answer{
		channel.Temporary:     {500, "No SIM for +447700900123", nil},
		channel.Misconfigured: {401, "", nil},
	},
}
