namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>Ids that stand for structure, not text. The FIM three are the report's prefix-suffix-middle marks (section 4.1).</summary>
public sealed record SpecialTokens(int Bos, int Eos, int Pad, int User, int Assistant, int FimBegin, int FimHole, int FimEnd);
