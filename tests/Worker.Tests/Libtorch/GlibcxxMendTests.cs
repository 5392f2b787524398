using System.Runtime.Versioning;
using DeepSeekOps.Worker.Libtorch;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Libtorch;

[SupportedOSPlatform("linux")]
public class GlibcxxMendTests
{
    private static readonly string Bridge =
        Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");

    [Fact]
    public void Mending_changes_one_byte()
    {
        Assert.SkipUnless(File.Exists(Bridge), "no Linux build of TorchSharp beside the tests");
        var before = File.ReadAllBytes(Bridge);
        var after = before.ToArray();
        Assert.True(GlibcxxMend.Mend(after));
        Assert.Equal(1, before.Zip(after).Count(pair => pair.First != pair.Second));
    }

    [Fact]
    public void Another_file_is_left_alone()
    {
        var image = new byte[200];
        Assert.False(GlibcxxMend.Mend(image));
        Assert.All(image, b => Assert.Equal(0, b));
    }

    [Fact]
    public async Task Several_at_once_get_the_same_whole_copy()
    {
        Assert.SkipUnless(File.Exists(Bridge), "no Linux build of TorchSharp beside the tests");
        var copies = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => GlibcxxMend.MendedCopy(Bridge))));
        Assert.Single(copies.Distinct());
        Assert.Equal(new FileInfo(Bridge).Length, new FileInfo(copies[0]).Length);
    }
}
