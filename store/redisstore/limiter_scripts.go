package redisstore

// A window is the log of a limit's takings, one string:
//
//	number of nonces, 1 byte; nonces of the latest calls, the latest first
//	number of takings before the first cell
//	cells, in the order of their times: time; number of takings up to its end
//
// See windowFields and cellFields. The number before the cells stands where that of a
// cell 0 would.
//
// All takings of a cell count as if they were at its time, which is the time of the
// latest or later, so that none is forgotten early. As cells hold sums, the taking
// that decides, so many before the latest, is found by bisection. Cells are kept for
// twice Per.
//
// Version: see recordLayout. A release that changes this format changes the "l" of
// the key; there is no codec in Go.
//
// The scripts have the same KEYS, and the same first ARGV:
//
//	KEYS     the window of each limit; one window may come more than once
//	ARGV[1]  the call's time and nonce, see stampFields

// limiterPreamble begins the scripts.
//
//	open(log)         returns where the number before the cells is, that number, the
//	                  time of the first cell, and the time and sum of the last;
//	                  without cells the times are 0
//	sum(log, at, i)   returns the sum of cell i, counted from 1
//	time(log, at, i)  returns its time
//	known(log)        tells whether the call has changed the log before
//	mark(log)         returns the log with the call's nonce
//	put(i, log)       stores a log, also for later limits of the same window
const limiterPreamble = `
local now, nonce = struct.unpack('@stamp[time nonce]', ARGV[1])
local keys = KEYS
local logs = redis.call('MGET', unpack(keys))
local function open(log)
	local at = @window.nonces.from + @nonce * log:byte(1)
	if #log < at + @(window.before.length + cell.length - 1) then
		local before = struct.unpack('@window[before]', log, at)
		return at, before, 0, 0, before
	end
	local before, first = struct.unpack('>@window.before.format@cell.time.format', log, at)
	local last, total = struct.unpack('@cell[time sum]', log, #log - @(cell.length - 1))
	return at, before, first, last, total
end
local function sum(log, at, i)
	return (struct.unpack('@cell[sum]', log, at + @cell.length * i))
end
local function time(log, at, i)
	return (struct.unpack('@cell[time]', log, at + @cell.length * i - @cell.time.length))
end
local function known(log)
	local found = log and log:find(nonce, @window.nonces.from, true)
	return found and found < @nonce * log:byte(1) - @(nonce - window.nonces.from - 1)
end
local function mark(log)
	local n = log:byte(1)
	if n < @most_nonces then return string.char(n + 1) .. nonce .. log:sub(@window.nonces.from) end
	return '\@most_nonces' .. nonce ..
		log:sub(@window.nonces.from, @(window.nonces.to - nonce)) .. log:sub(@window.before.from)
end
local function put(i, log, ...)
	redis.call('SET', keys[i], log, ...)
	for k = i + 1, #keys do
		if keys[k] == keys[i] then logs[k] = log end
	end
end
`

// scriptTake takes from all limits or none. So if one window knows the call, the call
// has taken.
//
//	ARGV[2..]  of each limit: the limit, see limitFields; life of its window in
//	           milliseconds
//	returns    how long the call has to wait for each limit, 8 bytes each; an empty
//	           string if it has taken from all
var scriptTake = newScript(mayFill + limiterPreamble + `
local function wait(log, most, per, also)
	if also >= most then return per end
	if not log then return 0 end
	local at, before, first, last, total = open(log)
	local j = total - (most - also) + 1
	if j <= before then return 0 end
	local low, high = 1, (#log - at - @(window.before.length - 1)) / @cell.length
	while low < high do
		local middle = math.floor((low + high) / 2)
		if sum(log, at, middle) >= j then high = middle else low = middle + 1 end
	end
	return math.max(time(log, at, low) - (now - per), 0)
end
local function add(log, per, step)
	if not log then return struct.pack(
		'@window[count]c@(nonce)@window.before.format@cell.time.format@cell.sum.format', 1, nonce, 0, now + step, 1) end
	local at, before, first, last, total = open(log)
	local n, old = (#log - at - @(window.before.length - 1)) / @cell.length, 0
	while old < n and first <= now - 2 * per do
		old = old + 1
		first = old < n and time(log, at, old + 1)
	end
	if old > 0 then log = log:sub(1, at - 1) .. log:sub(at + @cell.length * old) end
	if not known(log) then log = mark(log) end
	if old < n and now <= last then
		return log:sub(1, @(0 - cell.sum.length - 1)) .. struct.pack('@cell[sum]', total + 1)
	end
	return log .. struct.pack('@cell[time sum]', now + step, total + 1)
end
local again, refused, waiting, waits = false, false, false, {0, 0, 0, 0}
for i = 1, #keys do again = again or known(logs[i]) end
for i = 1, #keys do
	local most, per, step, shadow = struct.unpack('@limit[most per step shadow]', ARGV[2 * i])
	local also = 0
	for k = 1, i - 1 do
		if keys[k] == keys[i] and waits[k] == 0 then also = also + 1 end
	end
	waits[i] = again and (shadow == 0 or known(logs[i])) and 0 or wait(logs[i], most, per, also)
	if waits[i] ~= 0 then
		waiting = true
		refused = refused or shadow == 0
	end
end
if not again and not refused then
	for i = 1, #keys do
		if waits[i] == 0 then
			local most, per, step = struct.unpack('@limit[most per step]', ARGV[2 * i])
			put(i, add(logs[i], per, step), 'PX', ARGV[2 * i + 1])
		end
	end
end
if not waiting then return '' end
for i = 1, #keys do waits[i] = struct.pack('>I8', waits[i]) end
return table.concat(waits, '', 1, #keys)
`)

// scriptGive gives one taking back to each limit: of the first cell after a time.
//
//	ARGV[2..]  that time, of each limit
//	returns    0
var scriptGive = newScript(anyhow + limiterPreamble + `
local function give(log, since)
	local at = open(log)
	local n = (#log - at - @(window.before.length - 1)) / @cell.length
	local i = n + 1
	while i > 1 and time(log, at, i - 1) > since do i = i - 1 end
	if i > n then return log end
	local cells = {log:sub(1, at + @cell.length * (i - 1) + @(window.before.length - 1))}
	for k = i, n do
		local left = sum(log, at, k) - 1
		if k > i or left > sum(log, at, i - 1) then
			cells[#cells + 1] = log:sub(at + @cell.length * k - @cell.time.length, at + @cell.length * k - 1) ..
				struct.pack('@cell[sum]', left)
		end
	end
	return table.concat(cells)
end
for i = 1, #keys do
	if known(logs[i]) then return 0 end
end
for i = 1, #keys do
	local log = logs[i]
	if log then
		local given = give(log, tonumber(ARGV[1 + i]))
		if given ~= log then put(i, known(given) and given or mark(given), 'KEEPTTL') end
	end
end
return 0
`)
