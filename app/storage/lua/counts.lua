-- Count the broker's records by the second of their stamp.
--
-- KEYS  1 quotes  2 trades
-- ARGV  1 stamp up to which records are counted  2 end of the newest second  3 number of seconds
-- Returns the number of records after the newest second, that of each second, newest first, and the
-- greatest score, in ms, up to the stamp; '' without one.

local upto, newest, seconds = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local MS_FROM = 1e12
local counts, greatest = {}, nil
for i = 0, seconds do
  counts[i + 1] = 0
end

local function count(key, place, after, to)
  local found = redis.call('ZCOUNT', key, string.format('(%.0f', after), string.format('%.0f', to))
  counts[place] = counts[place] + found
  return found
end

for _, key in ipairs(KEYS) do
  -- A key of the wrong type is left alone: the read counts it.
  if redis.call('TYPE', key).ok == 'zset' then
    local last = redis.call('ZREVRANGEBYSCORE', key, upto, MS_FROM, 'WITHSCORES', 'LIMIT', 0, 1)[2]
    if last and (not greatest or tonumber(last) > tonumber(greatest)) then
      greatest = last
    end
    if newest < upto then
      count(key, 1, newest, upto)
    end
    for i = 0, seconds - 1 do
      count(key, i + 2, newest - (i + 1) * 1000, newest - i * 1000)
    end
  end
end
counts[#counts + 1] = greatest or ''
return counts
