-- For wrk: each answer's body must be seven times the number of its header X-Number, and no number may come twice.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  right, wrong = 0, 0
  seen = {}
end

function response(status, headers, body)
  local number = tonumber(headers['x-number'] or headers['X-Number'])
  if status == 200 and number ~= nil and not seen[number] and body == string.format('%d', number * 7) then
    seen[number] = true
    right = right + 1
  else
    wrong = wrong + 1
  end
end

function done(summary)
  local right, wrong = 0, 0
  for _, thread in ipairs(threads) do
    right = right + thread:get('right')
    wrong = wrong + thread:get('wrong')
  end
  local errors = summary.errors
  io.write(string.format('right %d wrong %d errors %d\n', right, wrong,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
