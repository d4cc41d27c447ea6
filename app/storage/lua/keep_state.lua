-- Keep a ticker's state as it is, before a tick that is far ahead of it replaces it.
--
-- A state that a tick ahead of this server's clock wrote is not kept: what was kept before it stays.
-- Its version begins with that tick's time; the `as_of` of a delayed feed lies before it.
--
-- KEYS  1 state  2 kept state
-- ARGV  1 lifetime of the kept state in s

local version = redis.call('HGET', KEYS[1], 'version')
local ticked_at = tonumber(string.match(version or '', '^%d+') or '')
local time = redis.call('TIME')
if ticked_at and ticked_at <= time[1] * 1000 then
  redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
