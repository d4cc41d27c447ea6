-- Return the records of a range of scores, bounded in number and in bytes.
--
-- KEYS  sorted sets of records
-- ARGV  1 and 2 least and greatest score, as ZRANGEBYSCORE takes them  3 how many to leave out
--       4 greatest number of records of a key  5 greatest length of a record
--       6 bytes after which a key is read no further
--
-- A longer record is cut one byte after the greatest length: whoever parses it rejects it for its
-- length, and its rest never leaves Redis.
--
-- Returns for each key the records, each followed by its score, and 0 if these are all of the range,
-- 1 if a bound was reached, -1 if the key is of the wrong type.

local first, number, longest, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local answer = {}
for _, key in ipairs(KEYS) do
  local records, size, place, bytes, status = {}, 0, 0, 0, -1
  -- In small steps: Redis holds a step whole, however long its records are.
  local step = 8
  while status < 0 do
    local count = math.min(step, number - place)
    local found = redis.pcall(
      'ZRANGEBYSCORE', key, ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', first + place, count)
    if found.err then break end
    local is_odd = false
    for i = 1, #found, 2 do
      local record = found[i]
      bytes = bytes + #record
      if #record > longest then
        record, is_odd = string.sub(record, 1, longest + 1), true
      end
      records[size + 1], records[size + 2] = record, found[i + 1]
      size = size + 2
    end
    place = place + #found / 2
    if #found < 2 * count then
      status = 0
    elseif place >= number or bytes >= most_bytes then
      status = 1
    end
    step = is_odd and 1 or math.min(2 * step, 128)
  end
  answer[#answer + 1] = records
  answer[#answer + 1] = status
end
return answer
