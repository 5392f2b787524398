using System.Security.Cryptography;
using Amazon.Runtime;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Checkpoints.Store;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints.Store;

/// <summary>Half a second of one core: the first call warms the SDK.</summary>
public sealed class ObjectStoreTests : IAsyncLifetime
{
    private const int Part = 4_096;
    private static readonly byte[] Bytes = [.. Enumerable.Range(0, 5 * Part + 7).Select(i => (byte)(i * 31 % 251))];
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-store-");
    private TestStore _server = null!;
    private ObjectStore _store = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await TestStore.Start();
        _store = Open(TestStore.Secret);
    }

    public async ValueTask DisposeAsync()
    {
        _store.Dispose();
        await _server.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_file_in_parts_whose_lines_break_in_the_middle_arrives_as_it_was_sent_and_comes_back_so()
    {
        var (path, listed) = Written(Bytes);
        _server.CutUploads(3);
        await _store.PutFile("run/stage/step/model", path, listed, Cancellation);
        Assert.Equal(Bytes, _server.Objects["deep/runs/run/stage/step/model"]);
        Assert.Empty(_server.OpenUploads);
        _server.CutDownloads(3);
        string back = Path.Combine(_folder.FullName, "back");
        await _store.GetFile("run/stage/step/model", back, Bytes.Length, Cancellation);
        Assert.Equal(Bytes, await File.ReadAllBytesAsync(back, Cancellation));
        // Six parts and three of them twice; as many pieces back.
        Assert.Equal((9, 9), (_server.Calls.Count(c => c.StartsWith("PUT", StringComparison.Ordinal)),
            _server.Calls.Count(c => c == "GET deep/runs/run/stage/step/model")));
    }

    [Fact]
    public async Task A_file_that_is_not_what_its_manifest_says_is_not_there_in_any_part()
    {
        var (path, listed) = Written(Bytes);
        await Assert.ThrowsAsync<RefusedCheckpointException>(
            () => _store.PutFile("k", path, listed with { Sha256 = new string('0', 64) }, Cancellation));
        Assert.Equal((0, 0), (_server.Objects.Count, _server.OpenUploads.Count));
    }

    [Fact]
    public async Task A_server_that_is_busy_is_asked_again_and_lists_come_page_by_page()
    {
        for (int i = 0; i < 7; i++)
        {
            await _store.Put($"a/{i}", [1, 2], Cancellation);
        }
        await _store.Put("b/0", [1], Cancellation);
        _server.Busy(2);
        var all = await _store.List("a/", Cancellation);
        Assert.Equal(Enumerable.Range(0, 7).Select(i => ($"a/{i}", 2L)), all.Select(o => (o.Key, o.Bytes)));
        await _store.Delete([.. all.Select(o => o.Key)], Cancellation);
        Assert.Equal(["deep/runs/b/0"], _server.Objects.Keys);
    }

    [Fact]
    public async Task A_store_that_is_away_or_lets_nobody_in_says_which_and_what_to_do()
    {
        using var stranger = Open("another-secret");
        var refused = await Assert.ThrowsAsync<StoreException>(() => stranger.Put("k", [1], Cancellation));
        Assert.Equal("s3://training/deep/runs does not let the workers in (SignatureDoesNotMatch)", refused.Message);
        Assert.Contains("Look at the keys", refused.Fix, StringComparison.Ordinal);
        _server.Away = true;
        var away = await Assert.ThrowsAsync<StoreException>(() => _store.List("", Cancellation));
        Assert.StartsWith("s3://training/deep/runs cannot be reached: ", away.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(TestStore.Secret, $"{refused}{away}", StringComparison.Ordinal);
    }

    [Fact]
    public void Without_keys_it_is_said_where_they_are_looked_for()
    {
        var none = Assert.Throws<BadInputException>(() => StoreKeys.Find("s3://b", _ => null));
        Assert.Equal("The worker has no keys for the checkpoint store s3://b.", none.What);
        Assert.Contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", none.Fix, StringComparison.Ordinal);
        string file = Path.Combine(_folder.FullName, "keys");
        File.WriteAllText(file, "[lab]\naws_access_key_id = I\naws_secret_access_key = S\n");
        string? Given(string name) => name == StoreKeys.FileVariable ? file : name == StoreKeys.ProfileVariable ? "lab" : null;
        Assert.Equal(("I", "S"), StoreKeys.Find("s3://b", Given).GetCredentials() is var k ? (k.AccessKey, k.SecretKey) : default);
        Assert.Contains("no keys of profile 'default'",
            Assert.Throws<BadInputException>(() => StoreKeys.Find("s3://b", n => n == StoreKeys.FileVariable ? file : null)).What,
            StringComparison.Ordinal);
    }

    private ObjectStore Open(string secret) => new(
        _server.Settings, new BasicAWSCredentials(TestStore.Id, secret), TimeProvider.System, TimeSpan.FromMilliseconds(5), Part);

    private (string Path, ManifestFile Listed) Written(byte[] bytes)
    {
        string path = Path.Combine(_folder.FullName, "model");
        File.WriteAllBytes(path, bytes);
        return (path, new ManifestFile("model", bytes.Length, Convert.ToHexStringLower(SHA256.HashData(bytes))));
    }
}
