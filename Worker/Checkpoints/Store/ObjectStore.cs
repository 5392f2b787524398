using System.Buffers;
using System.Net;
using System.Security.Cryptography;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Files;
using Polly;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <param name="Key">Below the store's prefix.</param>
internal sealed record StoredObject(string Key, long Bytes, DateTimeOffset At);

/// <summary>
/// A bucket of an S3-compatible server, below one prefix. Each call is made again where its line broke or the server was busy; large files
/// go in parts, so that a broken line costs a part. What cannot be done in the end is a <see cref="StoreException"/>.
/// </summary>
internal sealed class ObjectStore : IDisposable
{
    /// <summary>S3 takes parts of 5 MiB to 5 GiB and 10,000 of them; 16 MiB is what AWS advises for one connection's full speed.</summary>
    internal const int PartBytes = 16 << 20;

    private const int PartsMost = 10_000;

    /// <summary>Parts of one rank under way at a time: 64 MiB of memory. Ours; a node has eight ranks.</summary>
    private const int PartsAtOnce = 4;

    private readonly AmazonS3Client _client;
    private readonly CheckpointPlace _place;
    private readonly ResiliencePipeline _retries;
    private readonly int _partBytes;

    public ObjectStore(CheckpointStore store, AWSCredentials keys, TimeProvider clock, TimeSpan? retryDelay = null,
        int partBytes = PartBytes)
    {
        _place = CheckpointPlace.Parse(store.Uri);
        _partBytes = partBytes;
        _retries = StoreRetries.Build(retryDelay ?? StoreRetries.UsualDelay, clock);
        string region = store.Region.Length > 0 ? store.Region : "us-east-1";
        var config = new AmazonS3Config
        {
            ForcePathStyle = store.PathStyle,
            // Ours to decide, and to tell.
            MaxErrorRetry = 0,
            // Servers that speak S3 often do not know the newer sums; what is sent is signed with its SHA-256, and each file is known by
            // its own.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
        };
        if (store.Endpoint.Length > 0)
        {
            (config.ServiceURL, config.AuthenticationRegion) = (store.Endpoint, region);
        }
        else
        {
            config.RegionEndpoint = Amazon.RegionEndpoint.GetBySystemName(region);
        }
        _client = new AmazonS3Client(keys, config);
    }

    /// <summary>"s3://bucket/prefix"</summary>
    public string Uri => _place.Uri;

    public string UriOf(string key) => $"{Uri}/{key}";

    public void Dispose() => _client.Dispose();

    /// <summary>All objects whose names begin so.</summary>
    public async Task<List<StoredObject>> List(string under, CancellationToken cancellation)
    {
        var found = new List<StoredObject>();
        string? next = null;
        do
        {
            var asked = new ListObjectsV2Request { BucketName = _place.Bucket, Prefix = Name(under), ContinuationToken = next };
            var page = await Call(token => _client.ListObjectsV2Async(asked, token), cancellation);
            found.AddRange((page.S3Objects ?? []).Select(o => new StoredObject(o.Key[Name("").Length..], o.Size ?? 0,
                new DateTimeOffset((o.LastModified ?? default).ToUniversalTime(), TimeSpan.Zero))));
            next = page.IsTruncated == true ? page.NextContinuationToken : null;
        }
        while (next is not null);
        return found;
    }

    public Task Put(string key, byte[] bytes, CancellationToken cancellation) => Call(token => _client.PutObjectAsync(new PutObjectRequest
    {
        BucketName = _place.Bucket, Key = Name(key), InputStream = new MemoryStream(bytes, writable: false), UseChunkEncoding = false,
    }, token), cancellation);

    /// <summary>Sends a file as it is listed; where it is another one by now, nothing of it is there under the name.</summary>
    /// <exception cref="RefusedCheckpointException">Its bytes are not those of the list.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public async Task PutFile(string key, string path, ManifestFile listed, CancellationToken cancellation)
    {
        int size = (int)Math.Max(_partBytes, (listed.Bytes + PartsMost - 1) / PartsMost);
        if (listed.Bytes <= size)
        {
            var whole = await File.ReadAllBytesAsync(path, cancellation);
            RequireListed(path, listed, Convert.ToHexStringLower(SHA256.HashData(whole)));
            await Put(key, whole, cancellation);
            return;
        }
        string id = (await Call(token => _client.InitiateMultipartUploadAsync(
            new InitiateMultipartUploadRequest { BucketName = _place.Bucket, Key = Name(key) }, token), cancellation)).UploadId;
        bool done = false;
        try
        {
            var parts = await PutParts(key, id, path, listed, size, cancellation);
            await Complete(key, id, parts, listed, cancellation);
            done = true;
        }
        finally
        {
            if (!done)
            {
                await Abort(key, id);
            }
        }
    }

    public async Task<byte[]> Get(string key, long most, CancellationToken cancellation)
    {
        byte[] bytes = await Call(async token =>
        {
            using var answer = await _client.GetObjectAsync(_place.Bucket, Name(key), token);
            if (answer.ContentLength > most)
            {
                throw new StoreException($"{UriOf(key)} has {answer.ContentLength} bytes, and {most} at most are expected", "Look at it.");
            }
            var read = new byte[answer.ContentLength];
            await answer.ResponseStream.ReadExactlyAsync(read, token);
            return read;
        }, cancellation);
        return bytes;
    }

    /// <summary>Brings a file, piece by piece, each as often as its line breaks. Whether its bytes are right its manifest says.</summary>
    public async Task GetFile(string key, string path, long bytes, CancellationToken cancellation)
    {
        using var file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        await System.Threading.Tasks.Parallel.ForEachAsync(
            Pieces(bytes), new ParallelOptions { MaxDegreeOfParallelism = PartsAtOnce, CancellationToken = cancellation },
            async (piece, token) =>
            {
                byte[] buffer = ArrayPool<byte>.Shared.Rent(piece.Length);
                try
                {
                    await Call(async once =>
                    {
                        using var answer = await _client.GetObjectAsync(new GetObjectRequest
                        {
                            BucketName = _place.Bucket, Key = Name(key), ByteRange = new ByteRange(piece.At, piece.At + piece.Length - 1),
                        }, once);
                        await answer.ResponseStream.ReadExactlyAsync(buffer.AsMemory(0, piece.Length), once);
                        return true;
                    }, token);
                    await RandomAccess.WriteAsync(file, buffer.AsMemory(0, piece.Length), piece.At, token);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            });
        DurableFiles.Sync(file, path);
    }

    public async Task Delete(IReadOnlyList<string> keys, CancellationToken cancellation)
    {
        // One by one: the call that deletes many asks for an MD5 that some servers check and others do not know.
        foreach (string key in keys)
        {
            await Call(token => _client.DeleteObjectAsync(_place.Bucket, Name(key), token), cancellation);
        }
    }

    private async Task<PartETag[]> PutParts(
        string key, string id, string path, ManifestFile listed, int size, CancellationToken cancellation)
    {
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var room = new SemaphoreSlim(PartsAtOnce);
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
        var sent = new List<Task<PartETag>>();
        using var broken = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            for (long at = 0; at < listed.Bytes && !broken.IsCancellationRequested; at += size)
            {
                await room.WaitAsync(cancellation);
                var bytes = new byte[(int)Math.Min(size, listed.Bytes - at)];
                await file.ReadExactlyAsync(bytes, cancellation);
                sum.AppendData(bytes);
                sent.Add(PutPart(key, id, sent.Count + 1, bytes, room, broken));
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            await broken.CancelAsync();
            await Ended(sent);
            throw;
        }
        // Whichever broke first made the others end, and is what is told.
        await Ended(sent);
        if (sent.Select(s => s.Exception?.InnerException).FirstOrDefault(e => e is StoreException) is StoreException away)
        {
            throw new StoreException(away.Message, away.Fix, away);
        }
        var all = await Task.WhenAll(sent);
        RequireListed(path, listed, Convert.ToHexStringLower(sum.GetHashAndReset()));
        return all;
    }

    private static async Task Ended(List<Task<PartETag>> sent)
    {
        foreach (Task one in sent)
        {
            await one.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<PartETag> PutPart(
        string key, string id, int number, byte[] bytes, SemaphoreSlim room, CancellationTokenSource broken)
    {
        try
        {
            var answer = await Call(token => _client.UploadPartAsync(new UploadPartRequest
            {
                BucketName = _place.Bucket, Key = Name(key), UploadId = id, PartNumber = number, PartSize = bytes.Length,
                InputStream = new MemoryStream(bytes, writable: false), UseChunkEncoding = false,
            }, token), broken.Token);
            return new PartETag(number, answer.ETag);
        }
        catch (StoreException)
        {
            await broken.CancelAsync();
            throw;
        }
        finally
        {
            room.Release();
        }
    }

    /// <summary>An answer that was lost may have been that it is done: then the upload is no more, and the file is there.</summary>
    private async Task Complete(string key, string id, PartETag[] parts, ManifestFile listed, CancellationToken cancellation)
    {
        try
        {
            await Call(token => _client.CompleteMultipartUploadAsync(new CompleteMultipartUploadRequest
            {
                BucketName = _place.Bucket, Key = Name(key), UploadId = id, PartETags = [.. parts],
            }, token), cancellation);
        }
        catch (StoreException e) when (e.InnerException is AmazonServiceException { StatusCode: HttpStatusCode.NotFound })
        {
            if (!(await List(key, cancellation)).Any(o => o.Key == key && o.Bytes == listed.Bytes))
            {
                throw;
            }
        }
    }

    /// <summary>Parts of an upload that nobody ends are kept, and paid for, unseen.</summary>
    private async Task Abort(string key, string id)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await _client.AbortMultipartUploadAsync(_place.Bucket, Name(key), id, soon.Token);
        }
        catch (Exception e) when (StoreRetries.Told(e) || e is OperationCanceledException)
        {
            // It is away, which is told by who sends; a rule of the bucket takes the parts away (docs/operating.md).
        }
    }

    private async Task<T> Call<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellation)
    {
        try
        {
            return await _retries.ExecuteAsync(async token => await call(token), cancellation);
        }
        catch (Exception e) when (StoreRetries.Told(e) && !cancellation.IsCancellationRequested)
        {
            throw StoreRetries.Of(e, Uri);
        }
    }

    private IEnumerable<(long At, int Length)> Pieces(long bytes)
    {
        for (long at = 0; at < bytes; at += _partBytes)
        {
            yield return (at, (int)Math.Min(_partBytes, bytes - at));
        }
    }

    private static void RequireListed(string path, ManifestFile listed, string found)
    {
        if (found != listed.Sha256)
        {
            throw new RefusedCheckpointException($"{path} has SHA-256 {found}; its manifest says {listed.Sha256}");
        }
    }

    private string Name(string key) => _place.Prefix.Length == 0 ? key : $"{_place.Prefix}/{key}";
}
