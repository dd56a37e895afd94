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
// The time of a cell is that of its takings, or up to a step later: all count as if
// they were at its time, so that none is forgotten early. Of a limit that is exact the
// step is 0. As cells hold sums, the taking that decides, so many before the latest, is
// found by bisection. Cells are kept for twice Per. A window has a taking at least: if
// the last is given back, its key goes.
//
// Version: see recordLayout. A release that changes this format changes the "l" of
// the key; there is no codec in Go.
//
// The scripts have the same KEYS, and the same first ARGV:
//
//	KEYS     the windows of the limits, each once
//	ARGV[1]  the time of the taking, and the call's nonce, see stampFields
//	ARGV[2..]  each limit, see limitFields

// limiterPreamble begins the scripts.
//
//	open(log)         returns where the number before the cells is, that number, the
//	                  time of the first cell, and the time and sum of the last
//	sum(log, at, i)   returns the sum of cell i, counted from 1
//	time(log, at, i)  returns its time
//	known(log)        tells whether the call has changed the log before
//	mark(log)         returns the log with the call's nonce
const limiterPreamble = `
local call, read = redis.call, struct.unpack
local now, nonce = read('@stamp[time name]', ARGV[1])
local keys = KEYS
local logs = call('MGET', unpack(keys))
local function open(log)
	local at = @window.nonces.from + @nonce * log:byte(1)
	local before, first = read('>@window.before.format@cell.time.format', log, at)
	local last, total = read('@cell[time sum]', log, #log - @(cell.length - 1))
	return at, before, first, last, total
end
local function sum(log, at, i)
	return (read('@cell[sum]', log, at + @cell.length * i))
end
local function time(log, at, i)
	return (read('@cell[time]', log, at + @cell.length * i - @cell.time.length))
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
`

// findCell finds i, which of the n cells of log is the first that is not before now;
// n + 1 if all are.
const findCell = `
local i = n + 1
while i > 1 and time(log, at, i - 1) >= now do i = i - 1 end
`

// shiftCells makes parts of log, with cell before cell i, and sums that are greater by so
// many from cell i on. If cell i then has no taking, it goes. These two are no
// functions, because to make a function costs each call of a script, and few need them.
const shiftCells = `
local parts = {log:sub(1, at + @cell.length * (i - 1) + @(window.before.length - 1)), cell}
for k = i, n do
	local left = sum(log, at, k) + by
	if k > i or left > sum(log, at, i - 1) then
		parts[#parts + 1] = struct.pack('@cell[time sum]', time(log, at, k), left)
	end
end
`

// scriptTake takes from all limits or none. So if one window knows the call, the call
// has taken.
//
//	returns    how long the call has to wait for each limit, 8 bytes each; an empty
//	           string if it has taken from all
//
// A taking may come after one that is later: the clocks of processes differ, and calls
// overtake one another. It goes where it belongs, so that Give finds it.
var scriptTake = newScript(mayFill + limiterPreamble + `
local function wait(log, at, j, per)
	local low, high = 1, (#log - at - @(window.before.length - 1)) / @cell.length
	while low < high do
		local middle = math.floor((low + high) / 2)
		if sum(log, at, middle) >= j then high = middle else low = middle + 1 end
	end
	return math.max(time(log, at, low) - (now - per), 0)
end
local function add(log, per, step, n)
	if not log then return struct.pack(
		'@window[count]c@(nonce)@window.before.format@cell.time.format@cell.sum.format', 1, nonce, 0, now + step, n) end
	local at, before, oldest, last, total = open(log)
	if oldest <= now - 2 * per then
		local cells, old = (#log - at - @(window.before.length - 1)) / @cell.length, 0
		repeat old = old + 1 until old == cells or time(log, at, old + 1) > now - 2 * per
		log = log:sub(1, at - 1) .. log:sub(at + @cell.length * old)
		if old == cells then last = -1 end
	end
	if not known(log) then log = mark(log) end
	if now > last then return log .. struct.pack('@cell[time sum]', now + step, total + n) end
	if last > now + step then
		local at = open(log)
		local by, cell = n, ''
		local n = (#log - at - @(window.before.length - 1)) / @cell.length
		` + findCell + `
		if time(log, at, i) > now + step then
			cell = struct.pack('@cell[time sum]', now + step, sum(log, at, i - 1) + by)
		end
		` + shiftCells + `
		return table.concat(parts)
	end
	return log:sub(1, @(0 - cell.sum.length - 1)) .. struct.pack('@cell[sum]', total + n)
end
local again, refused, waiting, waits, taken = false, false, false, {0, 0, 0, 0}, {0, 0, 0, 0}
local ats, befores, totals, _ = {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, 0
for k = 1, #keys do
	taken[k] = 0
	if logs[k] then
		ats[k], befores[k], _, _, totals[k] = open(logs[k])
		again = again or known(logs[k])
	end
end
for i = 1, #ARGV - 1 do
	local most, per, _, n, k, shadow, peek = read('@limit[most per step number key shadow peek]', ARGV[i + 1])
	local w, also = 0, taken[k] + n
	if not again or shadow == 1 and not known(logs[k]) then
		if also > most then
			w = per
		elseif logs[k] and totals[k] - most + also > befores[k] then
			w = wait(logs[k], ats[k], totals[k] - most + also, per)
		end
	end
	waits[i] = w
	if w ~= 0 then
		waiting = true
		refused = refused or shadow == 0
	elseif peek == 0 then
		taken[k] = taken[k] + n
	end
end
if not again and not refused then
	for i = 1, #ARGV - 1 do
		if waits[i] == 0 then
			local per, step, n, k, _, peek, life = read('@limit[per step number key shadow peek life]', ARGV[i + 1],
				@limit.per.from)
			if peek == 0 then
				logs[k] = add(logs[k], per, step, n)
				call('SET', keys[k], logs[k], 'PX', life)
			end
		end
	end
end
if not waiting then return '' end
for i = 1, #ARGV - 1 do waits[i] = struct.pack('>I8', waits[i]) end
return table.concat(waits, '', 1, #ARGV - 1)
`)

// scriptGive gives back, to each limit, takings that were made at a time: of the
// first cell that may hold them, so the takings themselves if the limit is exact. If
// the time is 0, it gives back the latest.
//
//	returns    0
var scriptGive = newScript(anyhow + limiterPreamble + `
local function latest(log, number)
	local at, before, _, _, total = open(log)
	local i, left = (#log - at - @(window.before.length - 1)) / @cell.length, total - number
	if left <= before then return false end
	while sum(log, at, i - 1) >= left do i = i - 1 end
	return log:sub(1, at + @cell.length * i - @(cell.length - window.before.length + 1)) ..
		struct.pack('@cell[time sum]', time(log, at, i), left)
end
local function give(log, step, number)
	if now == 0 then return latest(log, number) end
	local at, before = open(log)
	local n, cell = (#log - at - @(window.before.length - 1)) / @cell.length, ''
	` + findCell + `
	if i > n or time(log, at, i) > now + step then return log end
	local by = -math.min(number, sum(log, at, i) - sum(log, at, i - 1))
	if n == 1 and sum(log, at, 1) + by == before then return false end
	` + shiftCells + `
	return table.concat(parts)
end
for k = 1, #keys do
	if known(logs[k]) then return 0 end
end
for i = 1, #ARGV - 1 do
	local step, number, k, _, peek = read('@limit[step number key shadow peek]', ARGV[1 + i], @limit.step.from)
	local log = logs[k]
	if log and peek == 0 then
		local given = give(log, step, number)
		if given == false then
			call('DEL', keys[k])
		elseif given ~= log then
			given = known(given) and given or mark(given)
			call('SET', keys[k], given, 'KEEPTTL')
		end
		logs[k] = given
	end
end
return 0
`)
