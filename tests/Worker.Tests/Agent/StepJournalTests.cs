using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class StepJournalTests : IDisposable
{
    private const string Registration = "20260102T030405.0000000Z";

    private readonly string _root = Directory.CreateTempSubdirectory("dsops-untold-").FullName;

    private string Folder => StepJournal.FolderOf(Assignment(1));

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task The_next_agent_hears_each_step_up_to_the_one_that_its_launch_goes_on_from_once_and_in_order()
    {
        // Not closed: the rank was killed.
        Write(new StepJournal(Folder, Registration, 1), 1, 1_200);
        var told = await Open(2).Recall(1_000, 2);
        Assert.Equal(Enumerable.Range(1, 1_000).Select(i => (1, (long)i)), told.Select(s => (s.Attempt, s.Step)));
        Assert.All(told, s => Assert.Equal(1.0 / s.Step, s.Loss));
    }

    [Fact]
    public async Task Of_a_step_that_was_trained_twice_the_newer_attempt_counts()
    {
        Write(new StepJournal(Folder, Registration, 1), 1, 60);
        Write(new StepJournal(Folder, Registration, 2), 41, 90);
        var told = await Open(3).Recall(80, 3);
        Assert.Equal(
            [.. Enumerable.Range(1, 40).Select(i => (1, (long)i)), .. Enumerable.Range(41, 40).Select(i => (2, (long)i))],
            told.Select(s => (s.Attempt, s.Step)));
    }

    [Fact]
    public async Task Steps_of_another_registration_and_of_a_launch_from_step_0_are_nobodys()
    {
        Write(new StepJournal(Folder, "another", 1), 1, 60);
        Assert.Empty(await Open(2).Recall(60, 2));
        Write(new StepJournal(Folder, Registration, 1), 1, 60);
        Assert.Empty(await Open(2).Recall(0, 2));
    }

    /// <summary>Whatever a kill, a full disk or a stranger left in a file: what stands before it counts, and nothing fails.</summary>
    [Fact]
    public void A_damaged_journal_costs_steps_and_never_a_launch() =>
        Gen.Select(Gen.Int[0, 3_000], Gen.Byte, Gen.Bool).Sample((at, value, cut) =>
        {
            Directory.Delete(_root, recursive: true);
            using (var journal = new StepJournal(Folder, Registration, 1))
            {
                Write(journal, 1, 100);
            }

            string file = Assert.Single(Directory.GetFiles(Folder));
            byte[] bytes = File.ReadAllBytes(file);
            at %= bytes.Length;
            bytes[at] = value;
            File.WriteAllBytes(file, cut ? bytes[..at] : bytes);
            var told = Open(2).Recall(100, 2).GetAwaiter().GetResult();
            Assert.Equal(told.Select(s => s.Step).Distinct().Order(), told.Select(s => s.Step));
            if (cut)
            {
                Assert.Equal(Enumerable.Range(1, told.Count).Select(i => (long)i), told.Select(s => s.Step));
                Assert.InRange(told.Count, (at / (bytes.Length / 100 + 2)) - 1, 99);
            }
        }, iter: 200, threads: 1);

    [Fact]
    public async Task What_is_acknowledged_is_deleted_and_nothing_before_it_was_told()
    {
        Write(new StepJournal(Folder, Registration, 1), 1, 600);
        var untold = Open(2);
        untold.Acknowledged((2, 999));
        Assert.Equal(2, Directory.GetFiles(Folder).Length);

        await untold.Recall(500, 2);
        var journal = new StepJournal(Folder, Registration, 2);
        Write(journal, 501, 1_600);
        untold.Acknowledged((1, 500));
        Assert.Equal(5, Directory.GetFiles(Folder).Length);
        untold.Acknowledged((2, 501));
        Assert.Equal(3, Directory.GetFiles(Folder).Length);
        untold.Acknowledged((2, 501 + StepJournal.SamplesPerSegment - 1));
        Assert.Equal(3, Directory.GetFiles(Folder).Length);
        untold.Acknowledged((2, 501 + StepJournal.SamplesPerSegment));
        Assert.Equal(2, Directory.GetFiles(Folder).Length);
        untold.Acknowledged((2, 1_601));
        Assert.Single(Directory.GetFiles(Folder));

        // An agent of an older gang ends last: it touches nothing of the newer one.
        untold.Clear(1);
        Assert.Single(Directory.GetFiles(Folder));
        untold.Clear(2);
        Assert.False(Directory.Exists(Folder));
    }

    [Fact]
    public async Task However_long_nobody_listens_the_newest_steps_stay_and_the_disk_is_not_filled()
    {
        const int Steps = StepJournal.SamplesPerSegment * (StepJournal.SegmentsMax + 3);
        Write(new StepJournal(Folder, Registration, 1), 1, Steps);
        Assert.Equal(StepJournal.SegmentsMax, Directory.GetFiles(Folder).Length);
        var told = await Open(2).Recall(Steps, 2);
        Assert.Equal(StepJournal.SamplesPerSegment * StepJournal.SegmentsMax, told.Count);
        Assert.Equal(Steps, told[^1].Step);
    }

    [Fact]
    public async Task Where_nothing_can_be_written_training_goes_on()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Folder)!);
        await File.WriteAllTextAsync(Folder, "in the way", TestContext.Current.CancellationToken);
        Write(new StepJournal(Folder, Registration, 1), 1, 200);
        var untold = Open(2);
        Assert.Empty(await untold.Recall(200, 2));
        untold.Acknowledged((2, 1));
        untold.Clear(2);
        File.Delete(Folder);
    }

    private UntoldSteps Open(int attempt) => UntoldSteps.Open(Assignment(attempt))!;

    private Assignment Assignment(int attempt) => new()
    {
        Attempt = new AttemptRef { Run = "r", Stage = "s", Attempt = attempt },
        Plan = new TrainingPlan { CheckpointRoot = _root },
        Registrations = { Registration },
    };

    private static void Write(StepJournal journal, long first, long last)
    {
        for (long step = first; step <= last; step++)
        {
            journal.Add(new StepSample { Step = step, Loss = 1.0 / step });
        }
    }
}
