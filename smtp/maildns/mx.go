package maildns

import "context"

// checkMX looks for a host that accepts the bounces of the return path's domain,
// if the resolver can. A domain without MX accepts mail at its address (RFC 5321
// §5.1).
func (s *settings) checkMX(ctx context.Context, r Resolver, want Record) ([]Problem, error) {
	exchanges, ok := r.(MXResolver)
	if !ok {
		return nil, nil
	}
	found, err := exchanges.LookupMX(ctx, want.Name)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	if len(found) == 1 && (found[0].Host == "." || found[0].Host == "") { // RFC 7505
		return []Problem{{Fault: Missing, Want: want, Found: ".", Detail: "a null MX: the domain takes no bounces"}},
			nil
	}
	if len(found) > 0 {
		return nil, nil
	}
	if hosts, ok := r.(HostResolver); ok {
		addresses, err := count(hosts.LookupHost(ctx, want.Name))
		if err != nil || addresses > 0 {
			return nil, err
		}
	}
	return []Problem{{Fault: Missing, Want: want, Detail: "no host takes the bounces"}}, nil
}
