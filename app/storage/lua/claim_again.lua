-- Claim a fan-out whose guard was set while its `as_of` lay ahead of this server's clock.
--
-- KEYS  1 guard
-- ARGV  1 `as_of` in ms  2 lifetime of a guard in ms  3 how far ahead a claim may be made, in ms
-- Returns 1 if it is claimed now, 0 if the earlier claim counts.

local time = redis.call('TIME')
local server_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local left_ms = redis.call('PTTL', KEYS[1])
local claimed_at = server_ms - (tonumber(ARGV[2]) - math.max(0, left_ms))
if tonumber(ARGV[1]) - claimed_at <= tonumber(ARGV[3]) then
  return 0
end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
return 1
