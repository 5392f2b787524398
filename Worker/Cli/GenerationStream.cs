using System.Collections.Concurrent;
using System.Text;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Sampling;
using Google.Protobuf;

namespace DeepSeekOps.Worker.Cli;

/// <summary>
/// `dsops-worker generate --stream`: takes prompts and stops from stdin and tells on stdout, one JSON message a line, until stdin
/// ends. The last checkpoint stays loaded, so that a second prompt to it answers at once.
/// </summary>
internal sealed class GenerationStream : IDisposable
{
    /// <summary>Fast enough for an eye; a token a message would be mostly envelopes.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromMilliseconds(60);

    private readonly BlockingCollection<(Prompt Prompt, CancellationToken Stopping)> _waiting = [];
    private readonly TextWriter _output;
    private readonly TimeProvider _clock;
    private (SpeakingCheckpoint Checkpoint, string Folder, string Digest)? _open;

    private GenerationStream(TextWriter output, TimeProvider clock) => (_output, _clock) = (output, clock);

    /// <summary>Standard input and output as UTF-8, whatever the terminal's language is.</summary>
    public static int Run()
    {
        using var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true };
        return Run(input, output, TimeProvider.System);
    }

    public static int Run(TextReader input, TextWriter output, TimeProvider clock)
    {
        using var stream = new GenerationStream(output, clock);
        var reader = new Thread(() => stream.Read(input)) { IsBackground = true, Name = "orders" };
        reader.Start();
        foreach (var (prompt, stopping) in stream._waiting.GetConsumingEnumerable())
        {
            stream.Answer(prompt, stopping);
        }

        return 0;
    }

    public void Dispose()
    {
        _open?.Checkpoint.Dispose();
        _waiting.Dispose();
    }

    /// <summary>Reads on while a text is made, so that a stop is heard. The end of the orders stops too: who asked is gone.</summary>
    private void Read(TextReader input)
    {
        CancellationTokenSource? newest = null;
        while (input.ReadLine() is { } line)
        {
            var order = GenerationOrder.Parser.ParseJson(line);
            if (order.OrderCase == GenerationOrder.OrderOneofCase.Prompt)
            {
                newest?.Dispose();
                newest = new CancellationTokenSource();
                _waiting.Add((order.Prompt, newest.Token));
            }
            else
            {
                newest?.Cancel();
            }
        }

        newest?.Cancel();
        _waiting.CompleteAdding();
    }

    private void Answer(Prompt prompt, CancellationToken stopping)
    {
        try
        {
            Continue(Opened(prompt), prompt, stopping);
        }
        catch (Exception e) when (GenerateVerb.IsRefusal(e))
        {
            Tell(new GenerationNews { Phase = "refused", Reason = e.Message });
        }
    }

    private SpeakingCheckpoint Opened(Prompt prompt)
    {
        if (_open is { } open && (open.Folder, open.Digest) == (prompt.Folder, prompt.Digest))
        {
            return open.Checkpoint;
        }

        Tell(new GenerationNews { Phase = "loading" });
        _open?.Checkpoint.Dispose();
        _open = null;
        var opened = SpeakingCheckpoint.Open(prompt.Folder, prompt.Digest, tokenizer: null);
        _open = (opened, prompt.Folder, prompt.Digest);
        return opened;
    }

    private void Continue(SpeakingCheckpoint checkpoint, Prompt prompt, CancellationToken stopping)
    {
        var ids = checkpoint.Tokens(prompt.Text, prompt.Chat, prompt.MaxTokens);
        var sampler = new SpeculativeSampler(checkpoint.Model("auto"), prompt.Temperature, prompt.Seed, prompt.Speculate);
        Tell(new GenerationNews { Phase = "generating", PromptTokens = ids.Length });
        var (text, fresh, given) = (new SettledText(checkpoint.Tokenizer), new StringBuilder(), 0);
        var (began, told) = (_clock.GetTimestamp(), 0L);
        var last = new Continuation([], 0, 0, 0);
        GenerationNews News(string phase, string reason) => new()
        {
            Phase = phase, Reason = reason, Text = fresh.ToString(), PromptTokens = ids.Length, Tokens = last.Ids.Count,
            Passes = last.Passes,
            Guessed = last.Guessed, Kept = last.Kept, Seconds = _clock.GetElapsedTime(began).TotalSeconds,
        };
        void Take(Continuation said)
        {
            fresh.Append(text.Add(said.Ids.Skip(given)));
            (last, given) = (said, said.Ids.Count);
            if (told == 0 || _clock.GetElapsedTime(told) >= TellEvery)
            {
                Tell(News("generating", ""));
                fresh.Clear();
                told = _clock.GetTimestamp();
            }
        }

        string ended;
        try
        {
            Take(sampler.Continue(ids, prompt.MaxTokens, checkpoint.Tokenizer.Special.Eos, stopping, Take));
            ended = last.Ids[^1] == checkpoint.Tokenizer.Special.Eos ? "end-mark" : "max-tokens";
        }
        catch (OperationCanceledException)
        {
            ended = "stopped";
        }

        fresh.Append(text.Rest());
        Tell(News("ended", ended));
    }

    private void Tell(GenerationNews news) => _output.WriteLine(JsonFormatter.Default.Format(news));
}
