# upload.rb: Ruby with only its standard library. Sends FILE in chunks under FILE_ID. Run it again after any failure: it continues
# where the server is.
#   URL=http://127.0.0.1:4310 API_KEY=demo ruby upload.rb FILE FILE_ID
require 'json'
require 'net/http'
require 'stringio'

path, file_id = ARGV
url = URI(ENV.fetch('URL'))
chunk_bytes = Integer(ENV.fetch('CHUNK_BYTES', 8 * 1024 * 1024)) # It must be the same on every run.

def call(http, request)
  request['X-API-Key'] = ENV.fetch('API_KEY')
  response = http.request(request)
  abort "#{response.code} #{response.body}" unless response.is_a?(Net::HTTPSuccess)
  puts response.body
  JSON.parse(response.body)['data']
end

size = File.size(path)
total = [1, -(-size / chunk_bytes)].max # An empty file is one empty chunk.
Net::HTTP.start(url.host, url.port, use_ssl: url.scheme == 'https') do |http|
  query = URI.encode_www_form(fileId: file_id)
  sent = call(http, Net::HTTP::Get.new("#{url.path}/media/chunks?#{query}"))['currentSize']
  abort "#{file_id} was begun with another file or chunk size" if sent != size && (sent > size || sent % chunk_bytes != 0)
  (-(-sent / chunk_bytes)...total).each do |index|
    chunk = File.binread(path, chunk_bytes, index * chunk_bytes) || ''
    request = Net::HTTP::Post.new("#{url.path}/media/chunks")
    fields = { chunkIndex: index, totalChunks: total, fileId: file_id }.map { |name, value| [name.to_s, value.to_s] }
    request.set_form([*fields, ['file', StringIO.new(chunk), { filename: 'chunk' }]], 'multipart/form-data')
    call(http, request)
  end
end
