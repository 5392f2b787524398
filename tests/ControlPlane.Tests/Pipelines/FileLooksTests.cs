using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Files;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class FileLooksTests
{
    private static CancellationToken Ended => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_look_that_does_not_return_is_answered_in_words_and_few_threads_are_lost_to_such()
    {
        var clock = new FakeTimeProvider();
        var looks = new FileLooks(clock);
        using var mended = new ManualResetEventSlim();
        for (int i = 0; i < FileLooks.HungMost; i++)
        {
            Assert.Equal("/mnt/gone", await Hanging(looks, clock, mended));
        }

        // No further thread is begun: the answer comes at once.
        bool begun = false;
        Assert.Equal("", await looks.Run(() => { begun = true; return "read"; }, path => path, Ended));
        Assert.False(begun);
        mended.Set();
        // The threads are back: files are looked at again.
        while (await looks.Run(() => "read", path => path, Ended) != "read")
        {
            await Task.Yield();
        }
    }

    [Fact]
    public async Task A_look_may_take_long_as_long_as_each_file_answers()
    {
        var clock = new FakeTimeProvider();
        Assert.Equal(20, await new FileLooks(clock).Run(() =>
        {
            int seen = 0;
            for (; seen < 20; seen++)
            {
                FileSeen.At("/");
                clock.Advance(FileLooks.Patience);
            }

            return seen;
        }, _ => 0, Ended));
    }

    [Fact]
    public async Task What_a_look_throws_its_asker_gets()
    {
        var looks = new FileLooks(TimeProvider.System);
        await Assert.ThrowsAsync<BadInputException>(() => looks.Run<int>(() => throw new BadInputException("no", "yes"), _ => 0, Ended));
        Assert.Equal(1, await looks.Run(() => 1, _ => 0, Ended));
    }

    [Fact]
    public async Task A_text_is_read_from_files_only()
    {
        await Assert.ThrowsAsync<BadInputException>(() => FileLooks.ReadText("/dev/zero", 100, Ended));
        await Assert.ThrowsAsync<FileNotFoundException>(() => FileLooks.ReadText("/nowhere", 100, Ended));
        // Length 0 is what files in /proc say of themselves.
        Assert.NotEqual("", await FileLooks.ReadText("/proc/self/stat", 10_000, Ended));
        var refused = await Assert.ThrowsAsync<BadInputException>(() => FileLooks.ReadText("/proc/self/stat", 10, Ended));
        Assert.Contains("more than 10 bytes", refused.Message, StringComparison.Ordinal);
    }

    private static async Task<string> Hanging(FileLooks looks, FakeTimeProvider clock, ManualResetEventSlim mended)
    {
        var waits = new TaskCompletionSource();
        var look = looks.Run(() => FileWait.While("/mnt/gone", () =>
        {
            waits.SetResult();
            mended.Wait();
            return "read";
        }), path => path, Ended);
        await waits.Task;
        clock.Advance(FileLooks.Patience);
        return await look;
    }
}
