-- Keep a ticker's state as it is, before a tick that is far ahead of it replaces it.
--
-- A state that is ahead of this server's clock is not kept: what was kept before it stays.
--
-- KEYS  1 state  2 kept state
-- ARGV  1 lifetime of the kept state in s

local as_of = tonumber(redis.call('HGET', KEYS[1], 'as_of') or '')
local time = redis.call('TIME')
if as_of and as_of <= time[1] * 1000 then
  redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
