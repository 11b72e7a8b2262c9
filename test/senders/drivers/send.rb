# send.rb: Ruby's Net::HTTP with set_form. Modes: `length`; `chunked`: the chunked transfer coding.
require 'json'
require 'net/http'
require 'stringio'

def parts_of(sending)
  content = StringIO.new(File.binread(sending['path']))
  file = ['file', content, { filename: sending['filename'] }.compact]
  sending['isFileFirst'] ? [file, *sending['fields']] : [*sending['fields'], file]
end

def send_one(sending)
  url = URI(sending['url'])
  request = Net::HTTP::Post.new(url, sending['headers'])
  request.set_form(parts_of(sending), 'multipart/form-data')
  request['Transfer-Encoding'] = 'chunked' if sending['mode'] == 'chunked'
  response = Net::HTTP.start(url.host, url.port, read_timeout: 20) { |http| http.request(request) }
  { status: response.code.to_i, text: response.body }
rescue StandardError => e
  { status: 0, text: e.full_message(highlight: false) }
end

puts JSON.generate(JSON.parse(File.read(ARGV.fetch(0))).map { |sending| send_one(sending) })
